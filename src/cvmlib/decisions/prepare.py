"""From a unit's tables to what its decisions are counted from: cash, people, and categories held, as Parquet."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir

from cvmlib.business_unit import BusinessUnit
from cvmlib.clv.prepare import resolution, write_table
from cvmlib.decisions import add_on, cash
from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.cleaning import clean_keyed, clean_transactions
from cvmlib.tables.problems import CheckReport
from cvmlib.tables.sources import connect, mapped_table

CASH, PEOPLE, HOLDINGS, FACTS = "cash.parquet", "people.parquet", "holdings.parquet", "decisions.json"
LINES, TOGETHER = "lines.parquet", "together.parquet"
KNOWN = ("customer_id", "acquired_on", "acquisition_channel", "acquisition_cost", "referred_by")


@dataclass(frozen=True)
class UnitTables:
    """What `prepare_unit` left of one unit.

    Parameters
    ----------
    unit : BusinessUnit
        The unit.
    folder : Path
        Folder of everything built for it.
    cash : ibis Table
        customer_id, day, revenue, margin, purchases (`cvmlib.decisions.cash`).
    people : ibis Table or None
        The columns `KNOWN` of its customers, as far as they are on record.
    holdings : ibis Table or None
        customer_id, category, lines, spend; None without categories.
    lines : ibis Table or None
        customer_id, purchases, further, squares (`cvmlib.decisions.add_on`); None without products.
    together : ibis Table or None
        category, other, purchases; None without categories.
    end : date
        End of observation.
    missing : tuple of str
        What the unit does not supply: ``"customers"``, ``"products"``.
    """

    unit: BusinessUnit
    folder: Path
    cash: ir.Table
    people: ir.Table | None
    holdings: ir.Table | None
    lines: ir.Table | None
    together: ir.Table | None
    end: date
    missing: tuple[str, ...]

    @property
    def contractual(self) -> bool:
        """Whether customers have subscriptions."""
        return self.unit.setting == "contractual"


def prepare_unit(portfolio: Portfolio, unit: str, checks: CheckReport) -> list[Path]:
    """Count what the decisions of a unit need, once its tables are checked.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of a unit with transactions or subscriptions.
    checks : CheckReport
        What the checks found; tables they block are not used.

    Raises
    ------
    ConfigError
        The size of the market is stated as smaller than the number of customers.

    Returns
    -------
    list of Path
        The files written, in the unit's folder.
    """
    settings, con = portfolio.units[unit], connect(portfolio, unit)
    counted = resolution(portfolio, settings)
    folder, end = portfolio.build_dir / "units" / unit, checks.end_of_observation
    tables = {name for name in settings.tables if name not in checks.blocked}
    for name in (CASH, PEOPLE, HOLDINGS, LINES, TOGETHER):
        (folder / name).unlink(missing_ok=True)
    written: list[Path] = []
    missing = [name for name in ("customers", "products") if name not in tables]
    if "transactions" in tables:
        copies = any(problem.kind == "duplicate_rows" for problem in checks.problems)
        log = clean_transactions(mapped_table(portfolio, unit, "transactions", con), end, deduplicate=copies)
        named = "product_id" in log.columns
        if named:
            _write(add_on.count_lines(log, counted), folder / LINES, written)
        sold = "products" in tables and named
        products = clean_keyed(mapped_table(portfolio, unit, "products", con), "products") if sold else None
        _write(cash.count_cash(log, settings, products, counted), folder / CASH, written)
        if products is not None:
            _write(cash.count_holdings(log, products), folder / HOLDINGS, written)
            _write(add_on.count_together(log, products, counted), folder / TOGETHER, written)
        elif "products" not in missing:
            missing.append("products")
    if "customers" in tables:
        people = clean_keyed(mapped_table(portfolio, unit, "customers", con), "customers")
        _write(people.select([name for name in KNOWN if name in people.columns]), folder / PEOPLE, written)
    facts = {"end": end.isoformat(), "missing": missing}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    _check_market(settings, load_unit(portfolio, unit))
    return [*written, folder / FACTS]


def _check_market(unit: BusinessUnit, tables: UnitTables | None) -> None:
    """Refuse a market smaller than the customers won."""
    if unit.market_customers is None or tables is None:
        return
    won = int(tables.cash.customer_id.nunique().execute())
    if unit.market_customers < won:
        raise ConfigError(
            f"units.{unit.name}.market_customers: found {unit.market_customers:,}, fewer than the {won:,} customers in "
            f"the unit's tables; expected all the customers there are to win, those won included: {won:,} or more. "
            "Leave it out if the size of the market is unknown."
        )


def _write(table: ir.Table, path: Path, written: list[Path]) -> None:
    write_table(
        table.order_by([name for name in ("customer_id", "day", "category", "other") if name in table.columns]), path
    )
    written.append(path)


def load_unit(portfolio: Portfolio, unit: str) -> UnitTables | None:
    """Load what `prepare_unit` wrote; None for a unit without a log of its customers."""
    folder, settings = portfolio.build_dir / "units" / unit, portfolio.units[unit]
    spells = folder / "subscribers.parquet"
    contractual = settings.setting == "contractual"
    if not (folder / FACTS).is_file() or not (spells if contractual else folder / CASH).is_file():
        return None
    facts, local = json.loads((folder / FACTS).read_text(encoding="utf-8")), ibis.duckdb.connect()

    def read(name: str) -> ir.Table | None:
        return local.read_parquet(folder / name) if (folder / name).is_file() else None

    flow = cash.count_payments(local.read_parquet(spells), settings) if contractual else read(CASH)
    end = date.fromisoformat(facts["end"])
    tables = (read(name) for name in (PEOPLE, HOLDINGS, LINES, TOGETHER))
    return UnitTables(settings, folder, flow, *tables, end, tuple(facts["missing"]))
