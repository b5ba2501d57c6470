"""From a unit's tables to its programs on disk: one row per program and customer, regions, activity, and a baseline."""

import json
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq
from ibis.backends import BaseBackend

from cvmlib.portfolio import Portfolio
from cvmlib.programs import counts
from cvmlib.programs.media_tests import list_media_tests
from cvmlib.programs.prepared import ACTIVITY, AREAS, FACTS, MEDIA_TESTS, PROGRAMS, REGIONS, ROWS, load_unit, read_rows
from cvmlib.programs.scorecard import sum_activity
from cvmlib.tables.cleaning import clean_keyed, clean_subscriptions, clean_transactions
from cvmlib.tables.problems import CheckReport
from cvmlib.tables.sources import connect, mapped_table

_OPTIONAL = {"end": "timestamp", "cost": "float64", "channel": "string", "media_channel": "string"}
_OPTIONAL |= {"design": "string", "treated_share": "float64", "window_days": "float64"}


def prepare_unit(portfolio: Portfolio, unit: str, checks: CheckReport) -> list[Path]:
    """Count the programs of a unit and write what the models read.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of a unit with a table ``programs``.
    checks : CheckReport
        What the checks found; tables they block are not used.

    Returns
    -------
    list of Path
        The files written.
    """
    if "programs" in checks.blocked:
        return []
    con, folder = connect(portfolio, unit), portfolio.build_dir / "units" / unit
    tables = {name for name in portfolio.units[unit].tables if name not in checks.blocked}
    programs = clean_keyed(mapped_table(portfolio, unit, "programs", con), "programs")
    frame, end = _list_programs(programs), checks.end_of_observation or date.today()
    written: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ROWS).unlink(missing_ok=True)
    facts: dict = {"dimensions": [], "money": True, "baseline": None, "end": end.isoformat()}
    areas = pd.DataFrame({"program_id": [], "region": [], "arm": []}, dtype="string")
    if "assignments" in tables:
        assignments = mapped_table(portfolio, unit, "assignments", con)
        regional = frame.loc[frame["design"] == "regional", "program_id"].tolist()
        areas = _list_areas(assignments, regional)
        assigned = counts.assign_customers(assignments.filter(~assignments.program_id.isin(regional)), programs)
        frame = _date_last_draw(frame, assigned)
        rows, facts = _count_customers(portfolio, unit, con, tables, assigned, end)
        if rows is not None:
            written.append(_write(rows, folder / ROWS))
        frame = _count_arms(frame, read_rows(folder / ROWS) if rows is not None else assigned, areas)
    frame = _settle_design(frame)
    series = _sum_regions(portfolio, unit, con) if "outcomes" in tables and len(areas) else None
    activity = sum_activity(mapped_table(portfolio, unit, "activity", con)) if "activity" in tables else _NO_ACTIVITY
    for name, part in ((PROGRAMS, frame), (REGIONS, _NO_REGIONS if series is None else series), (ACTIVITY, activity)):
        part.to_parquet(folder / name, index=False)
        written.append(folder / name)
    areas.to_parquet(folder / AREAS, index=False)
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    list_media_tests(load_unit(portfolio, unit)).to_parquet(folder / MEDIA_TESTS, index=False)
    return [*written, folder / AREAS, folder / FACTS, folder / MEDIA_TESTS]


_NO_REGIONS = pd.DataFrame({"date": pd.Series(dtype="datetime64[us]"), "region": [], "value": []})
_NO_ACTIVITY = pd.DataFrame({"program_id": [], "kind": [], "week": pd.Series(dtype="datetime64[us]"), "events": []})


def _list_programs(programs: ir.Table) -> pd.DataFrame:
    """Read the programs with every optional column, in the order in which they started."""
    missing = {name: ibis.null(kind) for name, kind in _OPTIONAL.items() if name not in programs.columns}
    frame = programs.mutate(**missing).to_pandas()
    frame["design"] = frame["design"].astype("string").fillna("")
    frame["cost"] = frame["cost"].where(frame["cost"] >= 0)
    names = ["program_id", "label", "challenge", "intended_outcome", "start", *_OPTIONAL]
    frame = frame[frame["start"].notna()][names].assign(treated=0, control=0)
    frame["last_drawn"] = frame["start"]
    return frame.sort_values(["start", "program_id"], ignore_index=True)


def _date_last_draw(frame: pd.DataFrame, assigned: ir.Table) -> pd.DataFrame:
    """Note when the last customer of each program was drawn; a program may go on drawing while it runs."""
    found = assigned.group_by("program_id").agg(last_drawn=assigned.began.max()).to_pandas()
    table = frame.drop(columns="last_drawn").merge(found, on="program_id", how="left")
    return table.assign(last_drawn=table["last_drawn"].fillna(table["start"]).astype(table["start"].dtype))


def _list_areas(assignments: ir.Table, regional: list[str]) -> pd.DataFrame:
    kept = assignments.filter(assignments.program_id.isin(regional), assignments.arm.isin(["treated", "control"]))
    kept = kept.select("program_id", region="customer_id", arm="arm").distinct()
    return kept.to_pandas().astype("string").sort_values(["program_id", "region"], ignore_index=True)


def _count_customers(
    portfolio: Portfolio, unit: str, con: BaseBackend, tables: set[str], assigned: ir.Table, end: date
) -> tuple[ir.Table | None, dict]:
    """Find each assigned customer's outcome wherever the unit records it, and the unit's baseline."""
    customers = None
    if "customers" in tables:
        customers = clean_keyed(mapped_table(portfolio, unit, "customers", con), "customers")
    assigned = counts.leave_out_strangers(assigned, customers)
    log = _read_log(portfolio, unit, con, tables, end)
    money = "outcome" in assigned.columns or log is not None
    if not money and "converted" not in assigned.columns:
        return None, {"dimensions": [], "money": True, "baseline": None, "end": end.isoformat()}
    add = None if log is None or "outcome" in assigned.columns else _ADD[log[0]]
    rows = counts.take_outcomes(assigned) if add is None else add(assigned, log[1], end)
    rows, dimensions = counts.add_segments(rows, customers)
    names = ["program_id", "customer_id", "arm", "y", "x", "converted", *dimensions]
    baseline = None if log is None else counts.measure_baseline(log[1], _ADD[log[0]], end)
    facts = {"dimensions": dimensions, "money": money, "baseline": baseline, "end": end.isoformat()}
    return rows.select(*names).order_by("program_id", "customer_id"), facts


_ADD = {"transactions": counts.add_purchases, "subscriptions": counts.add_fees}


def _read_log(
    portfolio: Portfolio, unit: str, con: BaseBackend, tables: set[str], end: date
) -> tuple[str, ir.Table] | None:
    if "transactions" in tables:
        return "transactions", clean_transactions(mapped_table(portfolio, unit, "transactions", con), end)
    if "subscriptions" in tables:
        return "subscriptions", clean_subscriptions(mapped_table(portfolio, unit, "subscriptions", con), end)
    return None


def _count_arms(frame: pd.DataFrame, rows: ir.Table, areas: pd.DataFrame) -> pd.DataFrame:
    """Count customers (or areas) of each program and arm."""
    found = rows.group_by("program_id", "arm").agg(n=rows.count()).to_pandas()
    found = pd.concat([found, areas.groupby(["program_id", "arm"], as_index=False).agg(n=("region", "size"))])
    table = found.pivot_table(index="program_id", columns="arm", values="n", aggfunc="sum", fill_value=0)
    for arm in ("treated", "control"):
        sizes = table[arm] if arm in table.columns else pd.Series(dtype=float)
        frame[arm] = frame["program_id"].map(sizes).fillna(0).astype(int)
    return frame


def _settle_design(frame: pd.DataFrame) -> pd.DataFrame:
    """Name the design of every program; two arms without a word about them are taken as drawn at random."""
    both = (frame["treated"] > 0) & (frame["control"] > 0)
    stated = frame["design"].isin(["randomised", "regional", "matched", "none"])
    design = frame["design"].where(stated, "randomised").where(both, "none")
    return frame.assign(design=design.astype(str), assumed=both & ~stated)


def _sum_regions(portfolio: Portfolio, unit: str, con: BaseBackend) -> pd.DataFrame | None:
    outcomes = mapped_table(portfolio, unit, "outcomes", con)
    if "region" not in outcomes.columns:
        return None
    kept = outcomes.filter(outcomes.region.notnull(), outcomes.week.notnull(), outcomes.value.notnull())
    sums = kept.group_by(date=kept.week.truncate("D"), region=kept.region).agg(value=kept.value.sum()).to_pandas()
    return sums.sort_values(["date", "region"], ignore_index=True)


def _write(table: ir.Table, path: Path) -> Path:
    partial = path.with_suffix(".partial")
    if table.get_backend().name == "duckdb":
        table.to_parquet(partial)
    else:
        batches = table.to_pyarrow_batches()
        with pq.ParquetWriter(partial, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    partial.replace(path)
    return path
