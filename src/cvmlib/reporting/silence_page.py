"""The churn page of a non-contractual unit: who is silently gone, what it costs, whom to win back.

The words are those of the churn page of subscribers. Each function shows one part; where the forecast is withheld,
the parts that would print it say so instead.
"""

from dataclasses import dataclass

import pandas as pd

from cvmlib import plots
from cvmlib.business_unit import Saving
from cvmlib.churn.saving import summarise_list
from cvmlib.churn.silence import draw_winback, tabulate_silence, weigh_silence
from cvmlib.clv.results import UnitValue, load_value
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show
from cvmlib.reporting.leaving_words import describe_list
from cvmlib.reporting.value_page import WITHHELD
from cvmlib.reporting.words import amount, count, percent

SHOWN = 25


@dataclass(frozen=True)
class Silence:
    """What the churn page of a non-contractual unit shows.

    Parameters
    ----------
    value : UnitValue
        What the models saved.
    weighed : pandas.DataFrame
        From `cvmlib.churn.silence.weigh_silence`.
    listed : pandas.DataFrame
        Customers whom it pays to contact, best first; without costs those with most at stake.
    saving : dict or None
        Summary of the list, as `cvmlib.churn.saving.summarise_list` makes it; None without costs.
    """

    value: UnitValue
    weighed: pd.DataFrame
    listed: pd.DataFrame
    saving: dict | None

    @property
    def totals(self) -> dict:
        """Headline of the value."""
        return self.value.totals

    @property
    def currency(self) -> str:
        """Three capital letters."""
        return self.totals["currency"]


def load_silence(portfolio: Portfolio, unit: str) -> Silence:
    """Load what the churn page of a non-contractual unit shows.

    Raises
    ------
    UnfitModelError
        The models have not been fitted yet.
    """
    value, terms = load_value(portfolio, unit), portfolio.units[unit].saving
    weighed = weigh_silence(value.customers, terms, portfolio.interval)
    if terms is None:
        return Silence(value, weighed, weighed.sort_values(["at_stake", "customer_id"], ascending=[False, True]), None)
    listed = weighed[weighed["profit"] > 0].sort_values(["profit", "customer_id"], ascending=[False, True])
    return Silence(value, weighed, listed, _summarise(listed, len(weighed), terms, portfolio))


def _summarise(listed: pd.DataFrame, base: int, terms: Saving, portfolio: Portfolio) -> dict:
    draws = draw_winback(listed, terms, portfolio.interval, seed=portfolio.seed)
    return summarise_list(draws, len(listed), base, portfolio.interval) | terms.model_dump()


def show_verdict(unit: Silence) -> None:
    """Show the verdict: how many are gone, what it costs, whom to win back."""
    totals, verdict = unit.totals, unit.totals["verdict"]
    if unit.value.withheld:
        headline = f"Who of the customers of {totals['label']} has left cannot be said yet."
        show.verdict("withheld", headline, *verdict["reasons"])
        return
    doubts = [] if verdict["level"] == "sound" else verdict["reasons"]
    churn = {"saving": unit.saving, "experiment": ""}
    said = [describe_course(totals), describe_list(churn, unit.currency), *doubts]
    show.verdict(verdict["level"], describe_silence(unit.weighed, totals), *said)
    show.facts(list_facts(unit))


def describe_silence(weighed: pd.DataFrame, totals: dict) -> str:
    """Say how many customers have probably left, and what they would have brought."""
    gone, stake = float(weighed["p_gone"].sum()), float(weighed["at_stake"].sum())
    months = count(totals["horizon_months"], "month")
    return (
        f"About {gone:,.0f} of the {count(len(weighed), 'customer')} of {totals['label']} have left without saying so; "
        f"if they were still there, they would bring {amount(stake, totals['currency'])} in the next {months}."
    )


def describe_course(totals: dict) -> str:
    """Say how many of those still there will be so at the end of the horizon, and how many will not buy."""
    months, alive = count(totals["horizon_months"], "month"), totals["alive"]
    parts = []
    if totals.get("alive_later") is not None:
        later = totals["alive_later"]
        parts.append(
            f"Of the {alive:,.0f} who are probably still there, {alive - later:,.0f} will leave in the next {months} "
            f"({percent(1 - later / alive if alive else 0.0, 1)})."
        )
    if totals.get("buyers"):
        silent = totals["buyers"][0]
        share = percent(silent / max(totals["customers"], 1))
        parts.append(f"In these months {silent:,.0f} customers ({share} of those on record) will buy nothing.")
    return " ".join(parts)


def list_facts(unit: Silence) -> dict[str, tuple[str, str]]:
    """Headline numbers of the page, as tiles."""
    totals, weighed = unit.totals, unit.weighed
    facts = {
        "Probably gone": (f"{weighed['p_gone'].sum():,.0f}", f"of {len(weighed):,} on record"),
        "They would bring": (amount(weighed["at_stake"].sum(), unit.currency), "if they were still there"),
    }
    if totals.get("alive_later") is not None:
        left = totals["alive"] - totals["alive_later"]
        facts["Will leave"] = (f"{left:,.0f}", f"in {count(totals['horizon_months'], 'month')}")
    if unit.saving is not None:
        facts["Worth a contact"] = (f"{unit.saving['customers']:,}", "by expected profit")
    return facts


def show_bands(unit: Silence) -> None:
    """Show the customers by their probability to be still there."""
    if _say_withheld(unit):
        return
    table = tabulate_silence(unit.weighed)
    sentence = describe_bands(table)
    show.prose(show.text(sentence))
    names = [f"{100 * low:.0f} to {100 * high:.0f}%" for low, high in zip(table["low"], table["high"], strict=True)]
    ax = plots.value_bars(
        names,
        table["customers"] / max(table["customers"].sum(), 1),
        label="Share of customers",
        of="Probability to be still a customer",
    )
    words = {
        "customers": "Customers",
        "there": "Expected still there",
        "later": "Expected at the horizon",
        "value": f"Value ({unit.currency})",
        "at_stake": f"Lost with those gone ({unit.currency})",
    }
    shown = table.drop(columns=["low", "high"]).rename(columns=words)
    shown.insert(0, "Probability to be there", names)
    formats = {name: "number:0" for name in shown.columns if shown[name].dtype.kind == "f"}
    show.figure(ax.figure, sentence, shown, "Customers by the probability to be still there.", "silence", formats)


def describe_bands(table: pd.DataFrame) -> str:
    """Say how many are beyond doubt on either side."""
    sure = int(table.loc[table["low"] >= 0.8, "customers"].sum())
    gone = int(table.loc[table["high"] <= 0.2, "customers"].sum())
    return (
        f"{count(sure, 'customer')} are still there with 80% probability or more, {count(gone, 'customer')} with 20% "
        "or less; about the others their silence does not tell yet."
    )


def show_list(unit: Silence) -> None:
    """Show whom to contact: by expected profit, or without costs by what is at stake."""
    if _say_withheld(unit):
        return
    show.prose(show.text(describe_list({"saving": unit.saving, "experiment": ""}, unit.currency)))
    show.prose(
        "Nobody was contacted at random, so it is not known whom a contact would bring back: "
        "all are taken to accept alike."
    )
    words = {
        "customer_id": "Customer",
        "last": "Last purchase",
        "p_gone": "Share of chance to be gone",
        "if_there": f"Value if there ({unit.currency})",
        "at_stake": f"At stake ({unit.currency})",
        "profit": f"Expected profit ({unit.currency})",
    }
    table = unit.listed[[name for name in words if name in unit.listed]].rename(columns=words)
    formats = {name: "number:2" for name in table.columns if unit.currency in name}
    formats["Share of chance to be gone"] = "percent"
    title = "Whom to contact, best first" if unit.saving else "Most at stake"
    show.table(table.reset_index(drop=True), title, "whom to contact", formats, rows=SHOWN)


def show_unknowns(unit: Silence) -> None:
    """Show what the page leaves out or assumes."""
    sentences = [
        "Whether a customer has left is never seen: it is inferred from silence that is long for somebody who bought "
        "as he did.",
        "The share that comes back is taken from the portfolio file; the data cannot confirm it."
        if unit.saving
        else "What a contact would bring back is not known.",
        "Whoever comes back is taken to buy as he did before.",
    ]
    show.prose("- " + "\n- ".join(show.text(sentence) for sentence in sentences))


def _say_withheld(unit: Silence) -> bool:
    if unit.value.withheld:
        show.note(WITHHELD)
    return unit.value.withheld
