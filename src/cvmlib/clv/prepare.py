"""Prepare a non-contractual unit: check its tables, count its customers, and put the counts where notebooks read them.

The group-by runs where the tables live. What is written (under ``build/<portfolio>/units/<unit>/``) is what every later
step reads, so that the tables are read once.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.business_unit import BusinessUnit
from cvmlib.clv import counts, timing
from cvmlib.clv.covariates import Covariates, assign_patterns, find_covariates
from cvmlib.errors import DataError
from cvmlib.periods import last_period, last_whole_period
from cvmlib.portfolio import Portfolio
from cvmlib.tables.checks import check_unit
from cvmlib.tables.cleaning import clean_keyed, clean_transactions
from cvmlib.tables.problems import CheckReport
from cvmlib.tables.sources import mapped_table


@dataclass(frozen=True)
class UnitBase:
    """The customer base of one unit, as `prepare_unit` left it.

    Parameters
    ----------
    portfolio, unit : Portfolio, BusinessUnit
        What it belongs to.
    purchases : ibis Table
        ``customer_id``, ``period``, ``value``: one row per customer and period with a purchase.
    customers : ibis Table
        One row per customer at the end of observation, with the covariates of the ``customers`` table.
    calibration : ibis Table or None
        One row per customer at the end of the calibration, with what he did in the holdout.
    checks : CheckReport
        What the checks found.
    end, calibration_end : date
        Last day of the observation and of the calibration (None without a holdout).
    returns : Returns
        Share of the money that is returned later.
    covariates : Covariates
        What tells the customers apart beside their counts; `customers` and `calibration` have it as ``pattern``.
    """

    portfolio: Portfolio
    unit: BusinessUnit
    folder: Path
    purchases: ir.Table
    customers: ir.Table
    calibration: ir.Table | None
    checks: CheckReport
    end: date
    calibration_end: date | None
    returns: counts.Returns
    covariates: Covariates = Covariates()

    @property
    def returned_share(self) -> float:
        """Money returned in later periods over money bought."""
        return self.returns.share

    @property
    def time_unit(self) -> str:
        """Period by which the unit's purchases are counted."""
        return resolution(self.portfolio, self.unit)

    @property
    def pool(self) -> str:
        """Name of the units it borrows strength from: those of its pool whose purchases mean the same."""
        counted = self.unit.opportunity and f"by {self.unit.opportunity}"
        return " ".join(filter(None, (self.unit.pool, counted)))

    @property
    def now(self) -> pd.Timestamp:
        """Start of the last period observed, from which ages are counted back."""
        return pd.Timestamp(last_period(self.end, self.time_unit))

    @property
    def gaps(self) -> pd.DataFrame | None:
        """Squared gaps between purchases, see `cvmlib.clv.timing.count_gaps`; None for a unit of opportunities."""
        return None if self.unit.opportunity else pd.read_parquet(self.folder / "gaps.parquet")

    def gap_pairs(self, *, calibration: bool = False) -> pd.DataFrame:
        """Gaps between purchases by the days they begin and end, see `cvmlib.clv.timing.count_pairs`."""
        pairs = pd.read_parquet(self.folder / "pairs.parquet")
        if not calibration:
            return pairs
        last = pd.Timestamp(last_period(self.calibration_end, self.time_unit))
        return pairs[pairs["after"] <= (last - pd.Timestamp(0)) / pd.Timedelta(days=1)]

    def count_rows(self, *, calibration: bool = False, spend: bool = False, holdout: bool = False) -> pd.DataFrame:
        """Count rows of the unit, with the unit's name: for the fit, or with customers also told apart by more.

        Parameters
        ----------
        calibration : bool
            Counts at the end of the calibration instead of the end of observation.
        spend : bool
            Tell customers apart by ``monetary_value`` too.
        holdout : bool
            Tell the customers of a calibration apart by ``holdout_frequency`` too.
        """
        table = self.calibration if calibration else self.customers
        columns = ["frequency", "recency", "T", *["monetary_value"] * spend, *["holdout_frequency"] * holdout]
        rows = counts.count_rows(table, by=["pattern"], columns=columns).to_pandas()
        rows.insert(0, "unit", self.unit.name)
        return rows


def resolution(portfolio: Portfolio, unit: BusinessUnit) -> str:
    """Period by which a unit's purchases are counted: its opportunity, else the portfolio's unit of time."""
    return unit.opportunity or portfolio.time_unit


def unit_folder(portfolio: Portfolio, unit: str) -> Path:
    """Folder of what is built for one unit."""
    return portfolio.build_dir / "units" / unit


def prepare_unit(portfolio: Portfolio, unit: str) -> list[Path]:
    """Check and count one unit, and write the result.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of a non-contractual unit.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    DataError
        A check is fatal; the report of the checks is written all the same.
    """
    folder = unit_folder(portfolio, unit)
    folder.mkdir(parents=True, exist_ok=True)
    report = check_unit(portfolio, unit)
    written = [_write_text(folder / "checks.json", report.to_json())]
    report.raise_if_fatal()
    end, time_unit = report.end_of_observation, resolution(portfolio, portfolio.units[unit])
    copies = any(problem.kind == "duplicate_rows" for problem in report.problems)
    transactions = clean_transactions(mapped_table(portfolio, unit, "transactions"), end, deduplicate=copies)
    purchases = folder / "purchases.parquet"
    write_table(counts.count_purchases(transactions, time_unit).order_by("customer_id", "period"), purchases)
    local = ibis.duckdb.connect()
    log = local.read_parquet(purchases)
    customers = counts.count_customers(log, end, time_unit=time_unit)
    known, found = None, Covariates()
    if "customers" in portfolio.units[unit].tables and "customers" not in report.blocked:
        path = folder / "covariates.parquet"
        write_table(clean_keyed(mapped_table(portfolio, unit, "customers"), "customers"), path)
        known = local.read_parquet(path)
        found = find_covariates(customers, known, portfolio.units[unit].covariates, unit)
        customers = customers.left_join(known, "customer_id", rname="{name}_known").drop("customer_id_known")
        written.append(path)
    elif portfolio.units[unit].covariates:
        raise DataError(
            f"units.{unit}.covariates names columns of the table customers, which the unit does not have or cannot "
            f"use. Supply it as units.{unit}.tables.customers, or take the covariates out."
        )
    customers = assign_patterns(customers, known, found)
    write_table(customers.order_by("customer_id"), folder / "customers.parquet")
    split = calibration_end(portfolio, portfolio.units[unit], end, log)
    if split is not None:
        calibration = counts.count_customers(log, split, time_unit=time_unit, holdout_end=end)
        calibration = assign_patterns(calibration, known, found)
        write_table(calibration.order_by("customer_id"), folder / "calibration.parquet")
        written.append(folder / "calibration.parquet")
    else:
        (folder / "calibration.parquet").unlink(missing_ok=True)
    if not portfolio.units[unit].opportunity:
        write_table(timing.count_gaps(log, end, time_unit), folder / "gaps.parquet")
        write_table(timing.count_pairs(log), folder / "pairs.parquet")
        written += [folder / "gaps.parquet", folder / "pairs.parquet"]
    facts = {
        "end": end.isoformat(),
        "calibration_end": split and split.isoformat(),
        "returns": asdict(counts.count_returns(transactions, time_unit)),
        "covariates": found.as_dict(),
    }
    written += [purchases, folder / "customers.parquet"]
    return [*written, _write_text(folder / "base.json", json.dumps(facts, indent=1))]


def load_unit(portfolio: Portfolio, unit: str) -> UnitBase:
    """Load what `prepare_unit` wrote."""
    folder = unit_folder(portfolio, unit)
    facts = json.loads((folder / "base.json").read_text())
    local = ibis.duckdb.connect()
    split = facts["calibration_end"]
    return UnitBase(
        portfolio=portfolio,
        unit=portfolio.units[unit],
        folder=folder,
        purchases=local.read_parquet(folder / "purchases.parquet"),
        customers=local.read_parquet(folder / "customers.parquet"),
        calibration=local.read_parquet(folder / "calibration.parquet") if split else None,
        checks=CheckReport.from_json((folder / "checks.json").read_text()),
        end=date.fromisoformat(facts["end"]),
        calibration_end=date.fromisoformat(split) if split else None,
        returns=counts.Returns(**facts["returns"]),
        covariates=Covariates.from_dict(facts["covariates"]),
    )


def calibration_end(portfolio: Portfolio, unit: BusinessUnit, end: date, purchases: ir.Table) -> date | None:
    """Last day of the calibration, or None when the history before it is too short to learn from.

    The calibration must hold at least 20 customers who bought again in it.
    """
    if not portfolio.holdout_months:
        return None
    split = counts.holdout_split(end, portfolio.holdout_months)
    split = last_whole_period(split, unit.opportunity) if unit.opportunity else split
    known = counts.count_customers(purchases, split, time_unit=resolution(portfolio, unit))
    repeat = int((known.frequency > 0).sum().to_pandas() or 0)
    return split if repeat >= 20 else None


def write_table(table: ir.Table, path: Path) -> None:
    """Write an Ibis expression of any engine to one Parquet file, replaced whole, without holding it in memory."""
    partial = path.with_suffix(".partial")
    if table.get_backend().name == "duckdb":
        table.to_parquet(partial)
    else:
        import pyarrow.parquet as pq

        batches = table.to_pyarrow_batches()
        with pq.ParquetWriter(partial, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    partial.replace(path)


def _write_text(path: Path, text: str) -> Path:
    path.write_text(text + "\n", encoding="utf-8")
    return path
