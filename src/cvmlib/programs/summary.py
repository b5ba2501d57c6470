"""What the study of a unit says at the top: why each verdict, money in and money back."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from cvmlib import provenance
from cvmlib.portfolio import Portfolio
from cvmlib.programs.counts import WINDOW_DAYS


def add_reasons(table: pd.DataFrame, end: date) -> pd.DataFrame:
    """Settle the verdict of every program, and add the sentence that says why (``reason``) and what limits it.

    Parameters
    ----------
    table : DataFrame
        One row per program with ``verdict`` as the money says it, missing where nothing was pooled, and ``hurdle``.
    end : datetime.date
        End of observation.
    """
    settled = [_settle(row) for row in table.to_dict("records")]
    days = table["window_days"].fillna(WINDOW_DAYS)
    over = table["last_drawn"] + pd.to_timedelta(days, unit="D") <= pd.Timestamp(end) + pd.Timedelta(days=1)
    counted = (table["design"] != "regional") & table["lift"].notna() & ~over
    return table.assign(
        verdict=[verdict for verdict, _ in settled], reason=[reason for _, reason in settled], unfinished=counted
    )


def _settle(row: Mapping) -> tuple[str, str]:
    """Return verdict and reason of one program."""
    if row["design"] == "none" or row["design"] == "matched":
        return "not measured", _unmeasured(row)
    if row["design"] == "regional":
        if row["why_not"]:
            return "not measured", f"It cannot be measured: {row['why_not']}."
        return row["verdict"], _odds(row)
    if row["broken"]:
        return "withheld", row["faults"]
    if not np.isfinite(row.get("pooled", np.nan)):
        return "retest", "Too few customers bought in its window, in one arm or both, to compare what they spent."
    return row["verdict"], _odds(row)


def _unmeasured(row: Mapping) -> str:
    if row["design"] == "matched":
        return "Treated customers are compared with look-alikes, not with customers held back by chance: no test."
    if row["treated"] and row["control"]:
        return "Treated and other customers were not separated by chance: no test."
    if row["treated"]:
        text = f"All {row['treated']:,} customers on record were treated: there is nobody to compare them with."
        known = np.isfinite(row["response"])
        return f"{text} {row['response']:.1%} of them converted, with the program or in spite of it." if known else text
    if row["control"]:
        return "Only customers who were held back are on record: there is nobody treated to compare with them."
    return "Nobody recorded whom it reached."


def _odds(row: Mapping) -> str:
    if not row.get("money", True) and row["design"] != "regional":
        return "Its outcome is not recorded in money, so its return is not known."
    if not np.isfinite(row["cost"]):
        return "Its cost is missing, so its return is not known: supply cost in programs."
    asked = "its cost" if row["hurdle"] == 1 else f"{row['hurdle']:g} times its cost"
    return f"The probability that it brings back {asked} in margin is {_percent(row['probability'])}."


def _percent(probability: float) -> str:
    if not np.isfinite(probability):
        return "not known"
    if probability > 0.995:
        return "more than 99%"
    return "less than 1%" if probability < 0.005 else f"{probability:.0%}"


def sum_up(
    portfolio: Portfolio,
    unit: str,
    table: pd.DataFrame,
    gains: Mapping[str, float],
    *,
    valued: bool,
    money: bool,
) -> dict:
    """Headline figures of a unit's programs, as JSON can hold them.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    table : DataFrame
        Results with verdicts.
    gains : mapping
        Incremental margin of all programs drawn at random and unbroken: mean, low, high.
    valued : bool
        Whether a model predicts customer value.
    money : bool
        Whether the outcome is money.
    """
    measured = table["pooled"].notna() & (table["design"] == "randomised")
    unknown = ~table["verdict"].isin(["scale", "keep", "retest", "stop"])
    regional = table[(table["design"] == "regional") & table["pooled"].notna()]
    return {
        "unit": unit,
        "label": portfolio.units[unit].label,
        "currency": portfolio.currency,
        "interval": portfolio.interval,
        "horizon_months": portfolio.horizon_months,
        "hurdle": _usual_hurdle(table),
        "hurdles": sorted(table["hurdle"].unique().tolist()),
        "valued": valued,
        "money": money,
        "programs": len(table),
        "verdicts": {str(name): int(count) for name, count in table["verdict"].value_counts().items()},
        "cost": _sum(table["cost"]),
        "cost_measured": _sum(table.loc[measured, "cost"]),
        "cost_unknown": _sum(table.loc[unknown, "cost"]),
        "costs_missing": int(table["cost"].isna().sum()),
        "tested": int(measured.sum()),
        "regional": len(regional),
        "gain": {name: float(value) for name, value in gains.items()} if measured.any() and money else None,
        "seed": portfolio.seed,
        "versions": provenance.versions(),
        "commit": provenance.commit(portfolio.root),
    }


def _usual_hurdle(table: pd.DataFrame) -> float:
    """Margin per unit of cost that is asked of most programs."""
    return float(table["hurdle"].mode().iloc[0]) if len(table) else 1.0


def _sum(values: pd.Series) -> float:
    return float(values.sum()) if values.notna().any() else 0.0
