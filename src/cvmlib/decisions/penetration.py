"""Account penetration against market penetration: whether the next euro earns more with customers or by winning some.

Winning: the margin of a newcomer's first months per euro that winning one has cost. More per customer: the incremental
margin per euro of the programs for present customers whose effect was measured. The unit's own records must hold both.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

WINNING = ("acquisition",)
"""Intended outcomes of programs that win customers; all others are for those there are."""


def compare_returns(
    newcomers: pd.DataFrame, cost: float, results: pd.DataFrame | None, interval: float
) -> pd.DataFrame:
    """Margin back per euro of winning customers and of doing more with those there are.

    Parameters
    ----------
    newcomers : DataFrame
        From `cvmlib.decisions.payback.sum_first_months`: customers, mean, deviation.
    cost : float
        Mean acquisition cost (money); not a number where unknown.
    results : DataFrame or None
        Measured programs of the unit (`cvmlib.programs.results.UnitResult.results`).
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        way ("market": win customers, "account": more per customer), back, low, high (margin per money spent), rests_on
        (customers followed, or programs measured), chance (that this way brings more back than the other; not a number
        where only one is known).
    """
    reach = norm.ppf(0.5 + interval / 2)
    rows = []
    followed = newcomers[newcomers["customers"] > 1]
    if len(followed) and np.isfinite(cost) and cost > 0:
        n = followed["customers"].to_numpy(float)
        mean = float(n @ followed["mean"] / n.sum())
        error = float(np.sqrt(n**2 @ (followed["deviation"] ** 2 / n)) / n.sum())
        rows.append(("market", mean / cost, error / cost, int(n.sum())))
    if results is not None and (account := _sum_programs(results, reach)) is not None:
        rows.append(("account", *account))
    table = pd.DataFrame(rows, columns=["way", "back", "error", "rests_on"])
    table["low"], table["high"] = table["back"] - reach * table["error"], table["back"] + reach * table["error"]
    table["chance"] = np.nan
    if len(table) == 2:
        apart = float(table["back"][0] - table["back"][1]) / float(np.hypot(*table["error"]))
        table["chance"] = [norm.cdf(apart), norm.cdf(-apart)]
    return table[["way", "back", "low", "high", "rests_on", "chance"]]


def _sum_programs(results: pd.DataFrame, reach: float) -> tuple[float, float, int] | None:
    """Incremental margin over cost of the measured programs for present customers, its error, and their number."""
    known = results["back"].notna() & (results["cost"] > 0) & ~results["intended_outcome"].isin(WINNING)
    measured = results[known & results["verdict"].isin(["scale", "keep", "retest", "stop"])]
    if measured.empty:
        return None
    cost = float(measured["cost"].sum())
    spread = (measured["gain_high"] - measured["gain_low"]) / (2 * reach)
    return float(measured["gain"].sum()) / cost, float(np.sqrt((spread**2).sum())) / cost, len(measured)
