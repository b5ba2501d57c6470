"""The parts of a unit's summary: the first page a stakeholder reads, for shops and for subscriptions alike."""

import json
from dataclasses import dataclass

import pandas as pd

from cvmlib import plots
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show, value_page, words
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
    value, months = totals["value"], words.count(totals["horizon_months"], "month")
    people = summary.people if _people(totals) != 1 else summary.people.removesuffix("s")
    headline = (
        f"Over the next {months} the {_people(totals):,} {people} of {label} will bring a margin of "
        f"{words.between(value['mean'], value['low'], value['high'], currency)}."
    )
    show.verdict(verdict["level"], headline, *_told_at_the_top(verdict))
    each = value["mean"] / max(_people(totals), 1)
    facts = {f"Expected value in {months}": words.amount(value["mean"], currency)}
    show.facts(facts | {"Per customer": words.amount(each, currency)} | _counts(summary))


def show_concentration(summary: Summary) -> None:
    """Show where the value sits: tenths of the customers, from the best downwards."""
    if summary.withheld:
        show.note(value_page.WITHHELD)
        return
    currency = summary.totals["currency"]
    sentence = value_page.describe_tenths(summary.customers, currency)
    show.prose(sentence)
    table, formats = value_page.tabulate_tenths(summary.customers, currency)
    tenth, share = table.columns[0], "Share of the value"
    ax = plots.value_bars(
        table[tenth], table[share], label="Share of the expected value", of="Tenths of customers, best first"
    )
    show.figure(ax.figure, sentence, table, "Expected value by tenth.", "value by tenth", formats)


def show_trust(summary: Summary) -> None:
    """Say, check by check, how far the forecast is to be trusted; what the verdict has said is not repeated."""
    verdict = summary.totals["verdict"]
    checks = value_page.order_checks(summary.totals.get("checks", []))
    said = _told_at_the_top(verdict)
    sentences = [check["sentence"] for check in checks] or verdict["reasons"]
    sentences = [sentence for sentence in sentences if sentence not in said]
    if not sentences:
        show.prose("All that was checked is said at the top of the page.")
        return
    lines = "\n".join(f"- {show.text(sentence)}" for sentence in sentences)
    show.prose(lines if verdict["level"] == "sound" else f"Besides what is said at the top of the page:\n\n{lines}")


def show_data(summary: Summary) -> None:
    """Say what the numbers rest on, and what the checks of the tables found."""
    checks, totals = summary.checks, summary.totals
    rows = words.listing(f"{count:,} rows of {name}" for name, count in checks.rows.items())
    found = "The checks found nothing to mend."
    if checks.problems:
        problems = words.count(len(checks.problems), "irregularity", "irregularities")
        found = f"The checks found {problems}; the next page says what was done about each."
    show.prose(f"Read were {rows}, observed until {_date(totals['end_of_observation'])}. {found}")


def _told_at_the_top(verdict: dict) -> list[str]:
    """Return what the banner says below its headline: the reasons for doubt, or that there are none."""
    return [verdict["headline"]] if verdict["level"] == "sound" else verdict["reasons"]


def _people(totals: dict) -> int:
    """Return how many people are valued: of subscribers, those who are active."""
    return totals.get("active", totals["customers"])


def _counts(summary: Summary) -> dict[str, object]:
    totals = summary.totals
    facts: dict[str, object] = {"Customers on record": f"{totals['customers']:,}"}
    if "active" in totals:
        facts["Active today"] = f"{totals['active']:,}"
    elif not summary.withheld:
        share = words.percent(totals["alive"] / totals["customers"])
        facts["Probably still customers"] = (f"{totals['alive']:,.0f}", f"{share} of those on record")
    return facts


def _date(text: str) -> str:
    return words.day(pd.Timestamp(text).date())
