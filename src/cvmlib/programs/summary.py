"""What the study of a unit says at the top: why each verdict, money in and money back, and tests for the media mix."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

from cvmlib import provenance
from cvmlib.portfolio import Portfolio
from cvmlib.programs.counts import WINDOW_DAYS
from cvmlib.programs.regional import RegionalTest


def add_reasons(table: pd.DataFrame, end: date, hurdle: float) -> pd.DataFrame:
    """Settle the verdict of every program, and add the sentence that says why (``reason``) and what limits it.

    Parameters
    ----------
    table : DataFrame
        One row per program with ``verdict`` as the money says it, missing where nothing was pooled.
    end : datetime.date
        End of observation.
    hurdle : float
        Margin asked for per unit of cost.
    """
    settled = [_settle(row, hurdle) for row in table.to_dict("records")]
    days = table["window_days"].fillna(WINDOW_DAYS)
    over = table["start"] + pd.to_timedelta(days, unit="D") <= pd.Timestamp(end) + pd.Timedelta(days=1)
    counted = (table["design"] != "regional") & table["lift"].notna() & ~over
    return table.assign(
        verdict=[verdict for verdict, _ in settled], reason=[reason for _, reason in settled], unfinished=counted
    )


def _settle(row: Mapping, hurdle: float) -> tuple[str, str]:
    """Return verdict and reason of one program."""
    if row["design"] == "none" or row["design"] == "matched":
        return "not measured", _unmeasured(row)
    if row["design"] == "regional":
        if row["why_not"]:
            return "not measured", f"It cannot be measured: {row['why_not']}."
        return row["verdict"], _odds(row, hurdle)
    if row["broken"]:
        return "withheld", row["faults"]
    if not np.isfinite(row.get("pooled", np.nan)):
        return "retest", "Too few customers bought in its window, in one arm or both, to compare what they spent."
    return row["verdict"], _odds(row, hurdle)


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


def _odds(row: Mapping, hurdle: float) -> str:
    if not row.get("money", True) and row["design"] != "regional":
        return "Its outcome is not recorded in money, so its return is not known."
    if not np.isfinite(row["cost"]):
        return "Its cost is missing, so its return is not known: supply cost in programs."
    asked = "its cost" if hurdle == 1 else f"{hurdle:g} times its cost"
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
    hurdle: float,
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
    hurdle : float
        Margin asked for per unit of cost.
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
        "hurdle": hurdle,
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


def _sum(values: pd.Series) -> float:
    return float(values.sum()) if values.notna().any() else 0.0


def list_lift_tests(
    table: pd.DataFrame, regional: Mapping[str, RegionalTest], margin: float, interval: float
) -> pd.DataFrame:
    """List measured programs with a channel as the media mix takes lift tests.

    Parameters
    ----------
    table : DataFrame
        Results with verdicts.
    regional : mapping of str to RegionalTest
        Regional tests by program.
    margin : float
        Share of the outcome that is margin, taken out again.
    interval : float
        Probability of the intervals in `table`.

    Returns
    -------
    DataFrame
        program_id, channel, start, end (days), spend, lift, lift_error (money, sums over the test), relative_lift (of a
        regional test; missing otherwise), basis ("total"), kind (randomised or regional).
    """
    width = stats.norm.ppf((1 + interval) / 2)
    rows = []
    for row in table[table["channel"].notna() & (table["cost"] > 0) & table["gain"].notna()].to_dict("records"):
        test = regional.get(row["program_id"])
        days = row["window_days"] if np.isfinite(row["window_days"]) else WINDOW_DAYS
        last = row["start"] + pd.Timedelta(days=days - 1)
        ended = last if test is None else test.course["date"].max()
        if test is None:
            error, relative = (row["gain_high"] - row["gain_low"]) / (2 * width) / margin, np.nan
        else:
            sold = float(test.course.loc[test.course["tested"], "expected"].sum())
            error, relative = test.scale * sold, test.lift
        rows.append(
            {
                "program_id": row["program_id"],
                "channel": row["channel"],
                "start": row["start"],
                "end": ended,
                "spend": row["cost"],
                "lift": row["gain"] / margin,
                "lift_error": error,
                "relative_lift": relative,
                "basis": "total",
                "kind": row["design"],
            }
        )
    names = "program_id channel start end spend lift lift_error relative_lift basis kind".split()
    return pd.DataFrame(rows, columns=names)
