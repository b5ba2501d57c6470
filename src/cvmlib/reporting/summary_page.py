"""The parts of a unit's summary: the first page a stakeholder reads, for shops and for subscriptions alike."""

import json
from dataclasses import dataclass

import pandas as pd

from cvmlib import plots
from cvmlib.clv.results import count_tenths
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show, words
from cvmlib.tables.problems import CheckReport

_PEOPLE = {"noncontractual": "customers", "contractual": "subscribers"}


@dataclass(frozen=True)
class Summary:
    """Headline figures, checks and values per customer of one unit, as the models and the checks saved them."""

    totals: dict
    checks: CheckReport
    customers: pd.DataFrame

    @property
    def withheld(self) -> bool:
        """Whether a check failed, so that no value may be shown."""
        return self.totals["verdict"]["level"] == "withheld"

    @property
    def people(self) -> str:
        """Return what the unit's customers are called."""
        return _PEOPLE[self.totals["setting"]]


def load_summary(portfolio: Portfolio, unit: str) -> Summary:
    """Load what the summary of a unit shows.

    Raises
    ------
    UnfitModelError
        The models have not been run yet.
    """
    folder = portfolio.build_dir / "units" / unit
    if not (folder / "totals.json").is_file():
        raise UnfitModelError(f"The customers of {unit} have not been valued yet. Run `make reports`.")
    return Summary(
        json.loads((folder / "totals.json").read_text(encoding="utf-8")),
        CheckReport.from_json((folder / "checks.json").read_text(encoding="utf-8")),
        pd.read_parquet(folder / "value.parquet"),
    )


def show_verdict(summary: Summary) -> None:
    """Show what the unit's customers are worth, or why that cannot be said."""
    totals, verdict = summary.totals, summary.totals["verdict"]
    label, currency = totals["label"], totals["currency"]
    if summary.withheld:
        headline = f"What the {summary.people} of {label} are worth cannot be said yet."
        show.verdict("withheld", headline, *verdict["reasons"])
        show.facts(_counts(summary))
        return
    value = totals["value"]
    months = totals["horizon_months"]
    headline = (
        f"The {totals.get('active', totals['customers']):,} {summary.people} of {label} are worth "
        f"{words.between(value['mean'], value['low'], value['high'], currency)} over the next {months} months."
    )
    reasons = verdict["reasons"] or [verdict["headline"]]
    show.verdict(verdict["level"], headline, *reasons)
    each = value["mean"] / max(len(summary.customers), 1)
    facts = {f"Expected margin, {months} months": words.amount(value["mean"], currency)}
    show.facts(facts | {"Per customer": words.amount(each, currency)} | _counts(summary))


def show_concentration(summary: Summary) -> None:
    """Show where the value sits: tenths of the customers, from the best downwards."""
    if summary.withheld:
        show.note("Not shown: the forecast is withheld, for the reasons given at the top of the page.")
        return
    tenths = count_tenths(summary.customers)
    currency = summary.totals["currency"]
    top, half = tenths["share"].iloc[0], tenths["share"].iloc[:5].sum()
    sentence = (
        f"The best tenth of the {summary.people} holds {top:.0%} of the expected value, and the better half "
        f"{half:.0%}. A customer of the best tenth is worth {words.amount(tenths['per_customer'].iloc[0], currency)}, "
        f"one of the last tenth {words.amount(tenths['per_customer'].iloc[-1], currency)}."
    )
    show.prose(sentence)
    ax = plots.value_bars(
        tenths["tenth"], tenths["share"], label="Share of the expected value", of="Tenths of customers, best first"
    )
    names = {
        "tenth": "Tenth",
        "customers": "Customers",
        "value": f"Expected value ({currency})",
        "share": "Share",
        "per_customer": f"Per customer ({currency})",
    }
    formats = {names["value"]: "number:0", "Share": "percent:1", names["per_customer"]: "number:1"}
    show.figure(
        ax.figure, sentence, tenths.rename(columns=names), "Expected value by tenth.", "value by tenth", formats
    )


def show_trust(summary: Summary) -> None:
    """Say, check by check, how far the forecast is to be trusted."""
    checks = [check["sentence"] for check in summary.totals.get("checks", [])] or summary.totals["verdict"]["reasons"]
    show.prose("\n".join(f"- {show.text(sentence)}" for sentence in checks))


def show_data(summary: Summary) -> None:
    """Say what the numbers rest on, and what the checks of the tables found."""
    checks, totals = summary.checks, summary.totals
    rows = words.listing(f"{count:,} rows of {name}" for name, count in checks.rows.items())
    problems = words.count(len(checks.problems), "irregularity", "irregularities")
    found = f"The checks found {problems}; each was treated as the next page states."
    if not checks.problems:
        found = "The checks found nothing to mend."
    show.prose(f"Read: {rows}, until {_date(totals['end_of_observation'])}. {found}")


def _counts(summary: Summary) -> dict[str, object]:
    totals = summary.totals
    facts: dict[str, object] = {"Customers on record": f"{totals['customers']:,}"}
    if "active" in totals:
        facts["Active today"] = f"{totals['active']:,}"
    elif not summary.withheld:
        share = totals["alive"] / totals["customers"]
        facts["Probably still customers"] = (f"{totals['alive']:,.0f}", f"{share:.0%} of those on record")
    return facts


def _date(text: str) -> str:
    return words.day(pd.Timestamp(text).date())
