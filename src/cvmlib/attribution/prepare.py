"""From a unit's tables to its journeys on disk, and back into memory for the notebooks."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis.backends import BaseBackend

from cvmlib.attribution import journeys as j
from cvmlib.attribution.disclosure import Finding, as_frame, count_reasons, count_treatments, describe_channels
from cvmlib.attribution.experiments import COLUMNS, count_arms, estimate_effects
from cvmlib.attribution.paths import Paths, encode_paths
from cvmlib.attribution.ready import count_ready
from cvmlib.attribution.stages import STAGES
from cvmlib.business_unit import BusinessUnit, JourneySettings
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.checks import check_unit
from cvmlib.tables.problems import CheckReport
from cvmlib.tables.sources import connect, mapped_table

SOURCES = {"touchpoints": ("touchpoints", "conversions"), "paths": ("paths",)}
"""What journeys can be counted from: the tables that each way needs, the preferred way first."""

NOTES, PATHS, KINDS, FINDINGS, TESTS, TOUCHES = (
    "journeys.json",
    "journey_paths.parquet",
    "touch_kinds.parquet",
    "journey_findings.parquet",
    "channel_tests.parquet",
    "journey_touches.parquet",
)


@dataclass(frozen=True)
class UnitJourneys:
    """The counted journeys of one unit.

    Parameters
    ----------
    unit : BusinessUnit
        The unit.
    folder : pathlib.Path
        Where its files are.
    source : str
        "touchpoints" or "paths".
    kinds : pandas.DataFrame
        channel, stage, purpose, name (the channel's, or that of the rest), kind, touches, cost (money).
    by_kind, paths : Paths
        The journeys by kind of touch, and by channel.
    findings : pandas.DataFrame
        See `cvmlib.attribution.disclosure`.
    tests : pandas.DataFrame
        See `cvmlib.attribution.experiments.estimate_effects`; no rows without the table ``holdouts``.
    days : float
        Days that the records cover; NaN for ready paths.
    """

    unit: BusinessUnit
    folder: Path
    source: str
    kinds: pd.DataFrame
    by_kind: Paths
    paths: Paths
    findings: pd.DataFrame
    tests: pd.DataFrame
    days: float


def source_of_journeys(unit: BusinessUnit) -> str | None:
    """Return the way in which a unit's journeys can be counted, or None when it supplies no tables for it."""
    return next((way for way, tables in SOURCES.items() if all(table in unit.tables for table in tables)), None)


def unit_folder(portfolio: Portfolio, unit: str) -> Path:
    """Return the folder of everything that is built for a unit."""
    return portfolio.build_dir / "units" / unit


def prepare_unit(
    portfolio: Portfolio, unit: str, checks: CheckReport | None = None, con: BaseBackend | None = None
) -> list[Path]:
    """Count a unit's journeys and write them; a unit that supplies no tables for it leaves nothing.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    checks : CheckReport, optional
        What the checks of the unit found; they run first when it is not given.
    con : ibis backend, optional
        Where the tables are read; by default `cvmlib.tables.sources.connect` decides.

    Returns
    -------
    list of pathlib.Path
        What was written. When the tables cannot be used, journeys.json alone, with the reason.
    """
    spec, folder = portfolio.units[unit], unit_folder(portfolio, unit)
    source = source_of_journeys(spec)
    if source is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PATHS, KINDS, FINDINGS, TESTS, TOUCHES):
        (folder / name).unlink(missing_ok=True)
    con = con or connect(portfolio, unit)
    try:
        count = _count_touchpoints if source == "touchpoints" else _count_ready
        end = (checks or check_unit(portfolio, unit, con)).end_of_observation or date.today()
        notes = {"source": source} | count(portfolio, unit, con, folder, end)
    except DataError as error:
        notes = {"source": source, "refused": str(error)}
    (folder / NOTES).write_text(json.dumps(notes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [folder / name for name in (NOTES, PATHS, KINDS, FINDINGS, TESTS, TOUCHES) if (folder / name).is_file()]


def load_unit(portfolio: Portfolio, unit: str) -> UnitJourneys:
    """Read what `prepare_unit` wrote, and prepare the journeys first if they have not been.

    Raises
    ------
    DataError
        When the unit supplies no tables for it, or they could not be used: the reason.
    """
    folder, spec = unit_folder(portfolio, unit), portfolio.units[unit]
    if source_of_journeys(spec) is None:
        raise DataError(
            f"{unit}: there are no journeys; supply touchpoints and conversions, or paths, in [units.{unit}.tables] of "
            "the portfolio file (data/README.md says what they must hold)."
        )
    if not (folder / NOTES).is_file():
        prepare_unit(portfolio, unit)
    notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    if "refused" in notes:
        raise DataError(notes["refused"])
    kinds = pd.read_parquet(folder / KINDS)
    by_kind = _read_paths(folder, kinds)
    return UnitJourneys(
        unit=spec,
        folder=folder,
        source=notes["source"],
        kinds=kinds,
        by_kind=by_kind,
        paths=by_kind.relabel(list(kinds["name"])),
        findings=pd.read_parquet(folder / FINDINGS),
        tests=pd.read_parquet(folder / TESTS),
        days=float(notes.get("days") or np.nan),
    )


def _read_paths(folder: Path, kinds: pd.DataFrame) -> Paths:
    table = pd.read_parquet(folder / PATHS)
    paths = encode_paths([str(kind) for kind in kinds["kind"]], table)
    if "recency" not in table:
        return paths
    recency = np.concatenate(table["recency"].to_numpy())
    return Paths(**{**paths.__dict__, "recency": recency})


def _count_touchpoints(portfolio: Portfolio, unit: str, con: BaseBackend, folder: Path, end: date) -> dict:
    """Count a log of touchpoints and conversions; write everything but the notes, and return these."""
    settings = portfolio.units[unit].journeys
    supplied = [mapped_table(portfolio, unit, name, con) for name in SOURCES["touchpoints"]]
    touches = j.with_reason(supplied[0], j.touch_reasons(supplied[0], end))
    conversions = j.with_reason(supplied[1], j.conversion_reasons(supplied[1], end))
    findings = count_reasons(touches, "touchpoints") + count_reasons(conversions, "conversions")
    findings += _strange_stages(touches)
    touches, conversions = (t.filter(t.reason.isnull()).drop("reason") for t in (touches, conversions))
    with TemporaryDirectory(dir=folder) as place:
        visits = _stored(con, j.list_visits(touches, settings), Path(place) / "visits.parquet")
        once = visits.filter(~visits.repeated)
        kinds = j.list_kinds(once, settings.most_channels)
        kinds = _stored(con, kinds, Path(place) / "kinds.parquet")
        events = _stored(con, j.list_events(once, kinds, conversions, settings), Path(place) / "events.parquet")
        _require_touches(events, touches, conversions)
        listed = _stored(con, j.list_touches(events, settings), folder / TOUCHES)
        named = kinds.order_by("kind").execute()
        paths = _write_counts(con, listed, named, settings, folder, Path(place))
        last = int(datetime.combine(end, time(), UTC).timestamp()) + 86_399
        repeated = int(visits.repeated.sum().execute())
        findings += count_treatments(events, listed, repeated, last, settings)
        span = events.aggregate(first=events.second.min(), last=events.second.max()).execute().iloc[0]
        _write_tests(portfolio, unit, con, once, events, end, folder)
    as_frame(findings + describe_channels(paths, named)).to_parquet(folder / FINDINGS, index=False)
    return {"days": (span["last"] - span["first"]) / 86_400}


def _stored(con: BaseBackend, table: ir.Table, path: Path) -> ir.Table:
    """Write a table and return it as stored, so that no later question works it out again."""
    table.to_parquet(path)
    return con.read_parquet(str(path))


def _write_counts(
    con: BaseBackend, listed: ir.Table, kinds: pd.DataFrame, settings: JourneySettings, folder: Path, place: Path
) -> Paths:
    """Count the paths and the weights by recency, write them, and return the paths by channel."""
    kept = listed.filter(listed.kept)
    journeys = _stored(con, j.list_journeys(kept, settings), place / "journeys.parquet")
    table = j.count_paths(journeys).order_by("path").execute()
    weights = j.count_recency(kept, journeys, settings).execute()
    sizes = table["path"].str.count(" ").to_numpy() + 1
    recency = np.zeros(sizes.sum())
    last = pd.Series(np.cumsum(sizes) - 1, index=table["path"])
    recency[last[weights["path"]].to_numpy() - weights["from_end"].to_numpy()] = weights["weight"]
    table["recency"] = np.split(recency, np.cumsum(sizes)[:-1])
    table.to_parquet(folder / PATHS, index=False)
    kinds.to_parquet(folder / KINDS, index=False)
    return _read_paths(folder, kinds).relabel(list(kinds["name"]))


def _count_ready(portfolio: Portfolio, unit: str, con: BaseBackend, folder: Path, _end: date) -> dict:
    """Count a table of ready paths; write everything but the notes, and return these."""
    settings = portfolio.units[unit].journeys
    paths, kinds, findings = count_ready(mapped_table(portfolio, unit, "paths", con), settings)
    texts = [" ".join(map(str, paths.touches[a:b])) for a, b in pairwise(paths.offsets)]
    counts = {name: getattr(paths, name) for name in ("conversions", "nulls", "value", "value_sq")}
    pd.DataFrame({"path": texts} | counts).to_parquet(folder / PATHS, index=False)
    kinds.to_parquet(folder / KINDS, index=False)
    by_channel = paths.relabel(list(kinds["name"]))
    as_frame(findings + describe_channels(by_channel, kinds)).to_parquet(folder / FINDINGS, index=False)
    pd.DataFrame(columns=list(COLUMNS)).to_parquet(folder / TESTS, index=False)
    return {"days": None}


def _write_tests(
    portfolio: Portfolio, unit: str, con: BaseBackend, visits: ir.Table, events: ir.Table, end: date, folder: Path
) -> None:
    """Estimate what the tested channels caused, if there are tests, and write it."""
    spec = portfolio.units[unit]
    tests = pd.DataFrame(columns=list(COLUMNS))
    if "holdouts" in spec.tables:
        conversions = events.filter(events.event == j.CONVERSION).select("customer_id", "second", "value")
        touches = visits.select("customer_id", "second", "channel")
        carryover = spec.journeys.carryover_days
        arms = count_arms(mapped_table(portfolio, unit, "holdouts", con), touches, conversions, end, carryover)
        met = touches.group_by("channel").agg(n=touches.count()).order_by("channel").execute()
        tests = estimate_effects(arms, met.set_index("channel")["n"])
    tests.to_parquet(folder / TESTS, index=False)


def _strange_stages(touches: ir.Table) -> list[Finding]:
    """Find stages that are none of the allowed ones."""
    if "stage" not in touches.columns:
        return []
    strange = touches.filter(touches.stage.notnull() & ~touches.stage.lower().isin(STAGES))
    found = strange.group_by("stage").agg(n=strange.count()).execute().sort_values("n", ascending=False)
    if not len(found):
        return []
    names = ", ".join(f"“{name}”" for name in found["stage"].head(5))
    what = f"touchpoints with an unknown stage: {names}"
    return [Finding(what, int(found["n"].sum()), None, f"placed by channel and content; known are {', '.join(STAGES)}")]


def _require_touches(events: ir.Table, touches: ir.Table, conversions: ir.Table) -> None:
    """Refuse a log without journeys: nothing touched, nothing converted, or customers that do not match."""
    by = events.group_by("customer_id").agg(touched=(events.event == j.TOUCH).any(), bought=events.event.max())
    found = by.agg(
        touched=by.touched.sum(), bought=(by.bought == j.CONVERSION).sum(),
        both=(by.touched & (by.bought == j.CONVERSION)).sum(),
    ).execute().fillna(0).astype(int).iloc[0]  # fmt: skip
    if not found.touched:
        raise DataError(
            "Table touchpoints: no row is usable; every row needs a customer, a channel and a time up to the end of "
            "observation. Check the column mapping and the filters."
        )
    if not found.bought:
        raise DataError(
            f"Table conversions: no row is usable, so none of the journeys of {found.touched:,} "
            "customers converts. Check "
            "the column mapping, the filters and the end of observation."
        )
    if not found.both:
        ids = [", ".join(t.customer_id.topk(3).execute()["customer_id"]) for t in (conversions, touches)]
        raise DataError(
            f"Conversions without touches: none of the {found.bought:,} customers in conversions "
            f"({ids[0]} …) has a row in "
            f"touchpoints ({ids[1]} …). Expected the same customer_id in both; check how each is written."
        )
