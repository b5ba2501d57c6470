"""Check every table of a business unit and report all problems at once, each with its treatment or remedy.

Fatal is what makes every page of the unit impossible or untrue: the compulsory table missing, broken, empty, without
required columns or a usable row, all on one date, from one customer, or without a purchase. Everything else is
tolerable: it is treated as stated and disclosed, or it blocks some pages only (`Problem.blocks`). So a log in which
everybody bought once still has its customer page, but no value page; and an optional table that cannot be used blocks
the pages that need it.
"""

import datetime

import ibis.expr.types as ir
from ibis.backends import BaseBackend

from cvmlib.business_unit import BusinessUnit
from cvmlib.errors import DataError
from cvmlib.periods import last_whole_period
from cvmlib.portfolio import Portfolio
from cvmlib.tables.check_media import check_media
from cvmlib.tables.check_programs import check_programs
from cvmlib.tables.check_records import check_links, check_records
from cvmlib.tables.check_subscriptions import check_subscriptions
from cvmlib.tables.check_transactions import check_transactions
from cvmlib.tables.contracts import COMPULSORY, STANDALONE
from cvmlib.tables.findings import Findings
from cvmlib.tables.mapping import Mapping, first_line
from cvmlib.tables.problems import CheckReport, Problem, format_report
from cvmlib.tables.sources import find_unit, map_unit_table

__all__ = ["CheckReport", "Problem", "check_portfolio", "check_unit", "format_report", "last_date"]

_TIMES = {"transactions": ("date",), "subscriptions": ("start", "end")}


def check_portfolio(portfolio: Portfolio) -> dict[str, CheckReport]:
    """Check every unit of a portfolio, see `check_unit`."""
    return {name: check_unit(portfolio, name) for name in portfolio.units}


def check_unit(portfolio: Portfolio, unit: str | BusinessUnit, con: BaseBackend | None = None) -> CheckReport:
    """Check every table that a unit supplies.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str or BusinessUnit
        The unit.
    con : ibis backend, optional
        Where to read the tables; by default `cvmlib.tables.sources.connect` decides.

    Returns
    -------
    CheckReport
        All problems, fatal ones first. Nothing is raised for bad data: call `CheckReport.raise_if_fatal`.
    """
    unit = find_unit(portfolio, unit)
    main = main_table(unit)
    report = CheckReport(unit.name, portfolio.end_of_observation, [], {})
    mappings = _map_tables(portfolio, unit, main, report, con)
    end = portfolio.end_of_observation
    if main not in COMPULSORY.values():
        report.problems.append(_without_log(unit))
    elif main in mappings:
        end = end or _guarded(report, unit, main, main, lambda: last_date(mappings[main].kept, main))
        end = last_whole_period(end, unit.opportunity) if end and unit.opportunity else end
    for name in sorted(mappings, key=lambda table: table != main):
        _guarded(report, unit, main, name, lambda name=name: _check(portfolio, unit, name, mappings[name], end, report))
    if not report.fatal:
        _guarded(report, unit, main, main, lambda: report.problems.extend(check_links(unit.name, main, mappings)))
        _guarded(
            report, unit, main, "assignments", lambda: report.problems.extend(check_programs(unit.name, mappings, end))
        )
        _guarded(
            report, unit, main, "media",
            lambda: report.problems.extend(check_media(unit.name, mappings, portfolio.currency)),
        )  # fmt: skip
    problems = sorted(report.problems, key=lambda p: (not p.fatal, p.table != main, p.table))
    return CheckReport(unit.name, end, problems, report.rows, report.facts)


def main_table(unit: BusinessUnit) -> str:
    """Return the table that everything of a unit rests on: its log of customers, or else a table with its own pages."""
    log = COMPULSORY[unit.setting]
    return log if log in unit.tables else next((name for name in STANDALONE if name in unit.tables), log)


def _without_log(unit: BusinessUnit) -> Problem:
    log = COMPULSORY[unit.setting]
    message = f"the unit supplies no {log}, so its customers are neither counted nor valued"
    treatment = f"pages that need no {log} are built; supply [units.{unit.name}.tables.{log}] for the others."
    return Problem(unit.name, log, "", "no_log", False, message, treatment, blocks=("value", "holdout"))


def _map_tables(
    portfolio: Portfolio, unit: BusinessUnit, main: str, report: CheckReport, con: BaseBackend | None
) -> dict[str, Mapping]:
    """Map every table that can be; what prevents the others goes into the report."""
    mappings = {}
    for name in unit.tables:
        try:
            mapping = map_unit_table(portfolio, unit, name, con)
            faults = mapping.faults
        except DataError as error:
            faults = error.problems or [Problem(unit.name, name, "", "unreadable", True, str(error), "see there.")]
        if faults:
            report.problems.extend(_optional(fault, main) for fault in faults)
        else:
            mappings[name] = mapping
    return mappings


def _optional(problem: Problem, main: str) -> Problem:
    """Return a fatal problem of a table that is not compulsory as one that blocks the pages which need the table."""
    if problem.table == main or not problem.fatal:
        return problem
    fields = {**problem.__dict__, "fatal": False, "blocks": (problem.table,)}
    return Problem(**fields)


def _guarded(report: CheckReport, unit: BusinessUnit, main: str, table: str, work):
    """Do some work on a table; an error of the engine while it reads becomes a problem of that table."""
    try:
        return work()
    except Exception as error:  # engines raise errors of their own
        if type(error).__module__.split(".")[0] in ("cvmlib", "builtins", "pandas", "numpy"):
            raise
        problem = Problem(
            unit.name,
            table,
            "",
            "unreadable",
            True,
            f"the table cannot be read to its end: {_detail(error)}",
            "correct the row or the expression that it names, or export the table again.",
        )
        report.problems.append(_optional(problem, main))
        return None


def _detail(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3]) if lines else first_line(error)


def _check(
    portfolio: Portfolio,
    unit: BusinessUnit,
    name: str,
    mapping: Mapping,
    end: datetime.date | None,
    report: CheckReport,
) -> None:
    findings = Findings(unit.name, name, portfolio.currency, mapping)
    if name == "transactions":
        counted = unit.opportunity or portfolio.time_unit
        facts = check_transactions(findings, end, counted, portfolio.holdout_months)
    elif name == "subscriptions":
        facts = check_subscriptions(findings, end)
    else:
        facts = check_records(findings)
    report.rows[name] = findings.rows
    report.facts[name] = facts
    report.problems.extend(_optional(problem, main_table(unit)) for problem in findings.problems)


def last_date(table: ir.Table, name: str) -> datetime.date | None:
    """Return the last date in mapped transactions or subscriptions that is not after today, or None without one.

    It ends the observation when the portfolio does not say otherwise.
    """
    tomorrow = datetime.datetime.combine(datetime.date.today() + datetime.timedelta(days=1), datetime.time())
    latest = [table[column].max(where=table[column] < tomorrow) for column in _TIMES[name]]
    found = table.agg(**{f"latest{i}": value for i, value in enumerate(latest)}).execute().iloc[0].dropna()
    return max(found).date() if len(found) else None
