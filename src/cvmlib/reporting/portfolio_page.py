"""The parts of the portfolio page: all units side by side, and what they are worth together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib import plots
from cvmlib.decisions.unit_budgets import load_plans, split_budget
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show, words
from cvmlib.reporting.components import LEVELS


@dataclass(frozen=True)
class Overview:
    """Headline figures of every unit with results, and simulated totals of those whose value may be shown.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    totals : dict of str to dict
        ``totals.json`` by unit.
    draws : DataFrame
        One column of simulated values per unit that is not withheld, row by row from the same posterior draw.
    """

    portfolio: Portfolio
    totals: dict[str, dict]
    draws: pd.DataFrame

    @property
    def withheld(self) -> list[str]:
        """Labels of the units whose value is withheld."""
        return [t["label"] for t in self.totals.values() if t["verdict"]["level"] == "withheld"]

    @property
    def people(self) -> dict[str, int]:
        """Customers valued, by unit: of subscribers, those who are active."""
        return {name: totals.get("active", totals["customers"]) for name, totals in self.totals.items()}

    @property
    def missing(self) -> list[str]:
        """Labels of the units without results."""
        return [unit.label for name, unit in self.portfolio.units.items() if name not in self.totals]


def load_overview(portfolio: Portfolio, units: Sequence[str] | None = None) -> Overview:
    """Load the results of every unit that has some.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    units : sequence of str, optional
        The units whose results are up to date; by default all.

    Raises
    ------
    UnfitModelError
        No unit has results.
    """
    totals, draws = {}, {}
    for name in portfolio.units:
        folder = portfolio.build_dir / "units" / name
        if not (folder / "totals.json").is_file() or (units is not None and name not in units):
            continue
        totals[name] = json.loads((folder / "totals.json").read_text(encoding="utf-8"))
        if totals[name]["verdict"]["level"] != "withheld":
            draws[name] = pd.read_parquet(folder / "total_draws.parquet")["value"].to_numpy()
    if not totals:
        raise UnfitModelError("No unit has been valued yet. Run `make reports`.")
    shortest = min((len(d) for d in draws.values()), default=0)
    return Overview(portfolio, totals, pd.DataFrame({name: d[:shortest] for name, d in draws.items()}))


def sum_units(overview: Overview) -> dict[str, float] | None:
    """Add up the value of all units that are not withheld: mean, low, high; None without any.

    Units of one model are added draw by draw, so that what they share is counted; units of different models are taken
    as independent.
    """
    if overview.draws.empty:
        return None
    total = overview.draws.sum(axis=1)
    interval = overview.portfolio.interval
    low, high = np.quantile(total, [(1 - interval) / 2, (1 + interval) / 2])
    return {
        "mean": sum(overview.totals[name]["value"]["mean"] for name in overview.draws),
        "low": float(low),
        "high": float(high),
    }


def save_total(overview: Overview) -> None:
    """Save the value of all units together where the index of the reports reads it: ``portfolio.json``."""
    path = overview.portfolio.build_dir / "portfolio.json"
    path.write_text(json.dumps({"value": sum_units(overview)}, indent=1) + "\n", encoding="utf-8")


def show_verdict(overview: Overview) -> None:
    """Show what the company's customers are worth together, and what is left out of that."""
    total, portfolio = sum_units(overview), overview.portfolio
    without = [f"Withheld, because a check failed: {words.listing(overview.withheld)}."] if overview.withheld else []
    without += [f"Without results: {words.listing(overview.missing)}."] if overview.missing else []
    levels = {t["verdict"]["level"] for t in overview.totals.values()}
    if total is None:
        show.verdict("withheld", "No unit's value can be stated.", *without)
        return
    valued, months = overview.draws.shape[1], words.count(portfolio.horizon_months, "month")
    worth = words.between(total["mean"], total["low"], total["high"], portfolio.currency)
    headline = f"Over the next {months} the customers of {words.count(valued, 'unit')} will bring a margin of {worth}."
    level = "sound" if levels == {"sound"} and not without else "caution"
    show.verdict(level, headline, *without)
    show.facts(
        {
            f"Expected value in {months}": words.amount(total["mean"], portfolio.currency),
            "Customers": sum(overview.people[name] for name in overview.draws),
            "Units valued": f"{valued} of {len(portfolio.units)}",
        }
    )


def show_units(overview: Overview) -> None:
    """Show the value of each unit with its interval, and the figures behind it."""
    currency = overview.portfolio.currency
    table = tabulate_units(overview)
    shown = table[table["value"].notna()].sort_values("value", ascending=False)
    sentence = describe_units(shown)
    show.prose(show.text(sentence))
    frame = shown.rename(columns={"label": "name", "value": "mean"})[["name", "mean", "low", "high"]]
    months = words.count(overview.portfolio.horizon_months, "month")
    ax = plots.interval_bars(frame, label=f"Expected value over {months}", unit=currency)
    names = {
        "label": "Unit",
        "customers": "Customers",
        "value": f"Expected value ({currency})",
        "low": "from",
        "high": "to",
        "share": "Share",
        "per_customer": f"Per customer ({currency})",
        "verdict": "Verdict",
    }
    formats = dict.fromkeys([names["value"], "from", "to"], "number:0") | {names["per_customer"]: "number:2"}
    formats["Share"] = "percent:1"
    caption = f"Expected value with {overview.portfolio.interval:.0%} forecast intervals."
    caption += " Withheld units are not drawn." if overview.withheld else ""
    table["verdict"] = table["verdict"].map(LEVELS)
    show.figure(ax.figure, sentence, table.rename(columns=names), caption, "units", formats)


def describe_units(shown: pd.DataFrame) -> str:
    """Say which unit holds most of the value and which has the most valuable customers, of those that can be shown."""
    if shown.empty:
        return "No unit's value can be stated."
    best, each = shown.iloc[0], shown.sort_values("per_customer").iloc[-1]
    if len(shown) == 1:
        return f"Only the value of {best['label']} can be stated."
    if best["value"] <= 0:
        return "No unit is expected to bring more than it costs."
    most = f"{best['label']} holds {words.percent(best['share'])} of the value that can be stated"
    if each["label"] == best["label"]:
        return f"{most}, and its customers are worth most each."
    return f"{most}; the customers of {each['label']} are worth most each."


def tabulate_units(overview: Overview) -> pd.DataFrame:
    """Tabulate the units: label, customers, value with interval (missing where withheld), per customer, verdict.

    ``share`` is each unit's share of the value that is not withheld, missing when that is not above zero.
    """
    rows = []
    for name, totals in overview.totals.items():
        level, value = totals["verdict"]["level"], totals["value"]
        known = level != "withheld"
        people = overview.people[name]
        rows.append(
            {
                "label": totals["label"],
                "customers": people,
                "value": value["mean"] if known else np.nan,
                "low": value["low"] if known else np.nan,
                "high": value["high"] if known else np.nan,
                "per_customer": value["mean"] / max(people, 1) if known else np.nan,
                "verdict": level,
            }
        )
    table = pd.DataFrame(rows)
    total = table["value"].sum()
    table.insert(5, "share", table["value"] / total if total > 0 else np.nan)
    return table


def show_reasons(overview: Overview) -> None:
    """Show, unit by unit, what limits the trust in its forecast."""
    lines = []
    for totals in overview.totals.values():
        verdict = totals["verdict"]
        reasons = " ".join(verdict["reasons"]) or "All checks passed."
        lines.append(f"- **{show.text(totals['label'])}** ({LEVELS[verdict['level']].lower()}): {show.text(reasons)}")
    show.prose("\n".join(lines))


def show_budgets(portfolio: Portfolio) -> None:
    """Show what each unit's actions earn by budget, and how today's money would be split best between the units."""
    plans = load_plans(portfolio)
    if not plans:
        show.prose("No unit names actions, so there is no budget to split.")
        return
    table, currency = split_budget(plans), portfolio.currency
    sentence = describe_budgets(table, currency)
    show.prose(show.text(sentence))
    names = {
        "label": "Unit",
        "now": f"Spent now ({currency})",
        "value_now": f"Value net of cost ({currency})",
        "next_euro": f"One more {currency} earns",
        "best": f"Best split ({currency})",
        "value_best": f"Value then ({currency})",
        "change": f"Change ({currency})",
    }
    formats = dict.fromkeys([names[k] for k in ("now", "value_now", "best", "value_best", "change")], "money")
    formats |= {names["next_euro"]: "number:2"}
    shown = table.rename(columns=names)[list(names.values())]
    curves = {plan.totals["label"]: plan.curve for plan in plans.values()}
    now = {plan.totals["label"]: plan.totals["cost"] for plan in plans.values()}
    ax = plots.budget_curves(curves, now, unit=currency)
    caption = "Expected value of the best plan of each unit by budget, net of it; rings are the plans of today."
    show.figure(ax.figure, sentence, shown, caption, "budgets", formats)


def describe_budgets(table: pd.DataFrame, currency: str) -> str:
    """Say where the next unit of money earns most, and what moving money between the units would bring."""
    if len(table) == 1:
        only = table.iloc[0]
        worth = f"one more {currency} there would earn {only['next_euro']:.2f} beyond itself"
        return f"Only {only['label']} has a plan; {worth}."
    most = table.sort_values("next_euro").iloc[-1]
    gain = float(table["value_best"].sum() - table["value_now"].sum())
    moved = float(table["change"].clip(lower=0).sum())
    if most["next_euro"] <= 0:
        return "More money would earn nothing in any unit: their plans are limited by capacity, not by budget."
    first = f"The next {currency} earns most in {most['label']}: {most['next_euro']:.2f} beyond itself."
    if gain <= 0.005 * abs(float(table["value_now"].sum())):
        return f"{first} Today's split between the units is as good as the best one."
    return (
        f"{first} Moving {words.amount(moved, currency)} between the units would bring {words.amount(gain, currency)} "
        "more for the same money."
    )
