"""Account penetration against market penetration: whether the next euro earns more with customers or by winning some.

Winning: the margin of a newcomer's first months per euro that winning one has cost. More per customer: the incremental
margin per euro of the programs for present customers whose effect was measured. The unit's own records must hold both.
How far there is to go is told by the size of the market: who is not won yet, against who is there to buy once more.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

Array = npt.NDArray[np.float64]

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


@dataclass(frozen=True)
class Account:
    """What present customers bring.

    Parameters
    ----------
    customers : float
        Those who are still customers, expected.
    each : float
        What one more purchase of one of them brings, or one more month of a subscription (margin, money).
    each_draws : array, shape (draws,)
        Draws of it; one alone where it is known.
    category : float
        What one more category brings of one of them over the horizon (margin, money); not a number without categories.
    category_draws : array, shape (draws,)
        Draws of it.
    """

    customers: float
    each: float
    each_draws: Array
    category: float
    category_draws: Array


def value_steps(
    newcomers: pd.DataFrame, cost: float, account: Account | None, left: float, interval: float
) -> pd.DataFrame:
    """Value what one step is worth: one more customer, one more purchase or one more category of each present one.

    Parameters
    ----------
    newcomers, cost, interval
        As for `compare_returns`.
    account : Account or None
        None where the value of present customers is withheld.
    left : float
        Customers of the market not won yet; not a number where its size is unknown.

    Returns
    -------
    DataFrame
        step ("customer", "purchase", "category"), gross (margin), cost (money spent on it; not a number where it is
        not known), each, low, high (margin less cost, money), number (how many such steps there are), hundredth
        (what one in a hundred of them brings, money), and most: what a step may cost to earn as much per money spent as
        winning customers does (money).
    """
    reach = norm.ppf(0.5 + interval / 2)
    rows, back = [], float("nan")
    followed = newcomers[newcomers["customers"] > 1]
    if len(followed) and np.isfinite(cost):
        n = followed["customers"].to_numpy(float)
        mean = float(n @ followed["mean"] / n.sum())
        error = reach * float(np.sqrt(n @ followed["deviation"] ** 2)) / n.sum()
        net = mean - cost
        back = mean / cost if cost > 0 else back
        rows.append(("customer", mean, cost, net, net - error, net + error, left))
    if account is not None:
        ends = [(1 - interval) / 2, (1 + interval) / 2]
        for step, value, draws in (
            ("purchase", account.each, account.each_draws),
            ("category", account.category, account.category_draws),
        ):
            if np.isfinite(value):
                low, high = np.quantile(draws, ends)
                rows.append((step, value, np.nan, value, min(low, value), max(high, value), account.customers))
    table = pd.DataFrame(rows, columns=["step", "gross", "cost", "each", "low", "high", "number"])
    table["hundredth"] = table["each"] * table["number"] / 100
    table["most"] = np.where(table["step"] == "customer", np.nan, table["each"] / back if back > 0 else np.nan)
    return table


def _sum_programs(results: pd.DataFrame, reach: float) -> tuple[float, float, int] | None:
    """Incremental margin over cost of the measured programs for present customers, its error, and their number."""
    known = results["back"].notna() & (results["cost"] > 0) & ~results["intended_outcome"].isin(WINNING)
    measured = results[known & results["verdict"].isin(["scale", "keep", "retest", "stop"])]
    if measured.empty:
        return None
    cost = float(measured["cost"].sum())
    spread = (measured["gain_high"] - measured["gain_low"]) / (2 * reach)
    return float(measured["gain"].sum()) / cost, float(np.sqrt((spread**2).sum())) / cost, len(measured)
