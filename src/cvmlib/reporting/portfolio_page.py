"""The parts of the portfolio page: all units side by side, and what they are worth together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib import plots
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show, words


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
    units = words.count(overview.draws.shape[1], "unit")
    worth = words.between(total["mean"], total["low"], total["high"], portfolio.currency)
    headline = f"The customers of {units} are worth {worth} over the next {portfolio.horizon_months} months."
    level = "sound" if levels == {"sound"} and not without else "caution"
    show.verdict(level, headline, *without)
    customers = sum(overview.totals[name]["customers"] for name in overview.draws)
    show.facts(
        {
            "Expected margin": words.amount(total["mean"], portfolio.currency),
            "Customers on record": f"{customers:,}",
            "Units valued": f"{overview.draws.shape[1]} of {len(portfolio.units)}",
        }
    )


def show_units(overview: Overview) -> None:
    """Show the value of each unit with its interval, and the figures behind it."""
    currency = overview.portfolio.currency
    table = tabulate_units(overview)
    shown = table[table["value"].notna()].sort_values("value", ascending=False)
    best = shown.iloc[0] if len(shown) else None
    sentence = "No unit's value can be stated." if best is None else (
        f"{best['label']} holds {best['value'] / shown['value'].sum():.0%} of the value that can be stated; per "
        f"customer, {shown.sort_values('per_customer').iloc[-1]['label']} is worth most."
    )  # fmt: skip
    show.prose(show.text(sentence))
    frame = shown.rename(columns={"label": "name", "value": "mean"})[["name", "mean", "low", "high"]]
    ax = plots.interval_bars(frame, label=f"Value over {overview.portfolio.horizon_months} months", unit=currency)
    names = {
        "label": "Unit",
        "customers": "Customers",
        "value": f"Value ({currency})",
        "low": "from",
        "high": "to",
        "per_customer": f"Per customer ({currency})",
        "verdict": "Verdict",
    }
    formats = dict.fromkeys([names["value"], "from", "to"], "number:0") | {names["per_customer"]: "number:1"}
    caption = (
        f"Expected margin with {overview.portfolio.interval:.0%} forecast intervals; withheld units are not drawn."
    )
    show.figure(ax.figure, sentence, table.rename(columns=names), caption, "units", formats)


def tabulate_units(overview: Overview) -> pd.DataFrame:
    """Tabulate the units: label, customers, value with interval (missing where withheld), per customer, verdict."""
    rows = []
    for totals in overview.totals.values():
        level, value = totals["verdict"]["level"], totals["value"]
        known = level != "withheld"
        people = totals.get("active", totals["customers"])
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
    return pd.DataFrame(rows)


def show_reasons(overview: Overview) -> None:
    """Show, unit by unit, what limits the trust in its forecast."""
    lines = []
    for totals in overview.totals.values():
        verdict = totals["verdict"]
        reasons = " ".join(verdict["reasons"]) or "All checks passed."
        lines.append(f"- **{show.text(totals['label'])}** ({verdict['level']}): {show.text(reasons)}")
    show.prose("\n".join(lines))
