"""What a randomised program changed, from counts alone: conversions, money, and predicted customer value.

Assumptions

1. Chance alone decided who was treated, so that treated and control differ only in the treatment.
2. Customers do not influence each other.
3. Means of money are compared, not medians: the total is what pays. Spending has heavy tails, so the standard error
   of a mean is itself uncertain; its degrees of freedom follow from the fourth moment (Satterthwaite 1946,
   *Biometrics* 2(6)).
4. What customers brought before (CUPED: Deng, Xu, Kohavi and Walker 2013, equations 4 and 5) takes out the variance
   that it explains; the coefficient is common to both arms, and the estimate stays unbiased.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Array = npt.NDArray[np.float64]

FEWEST = 2
"""Customers an arm needs before a variance can be told."""
LEAST_FREEDOM = 2.8
"""Degrees of freedom of a variance at the least: few buyers do not show how heavy the tail is, so that their kurtosis
says too little. With this floor 90% intervals hold down to 1% of 2,000 customers buying, in lognormal amounts of a
standard deviation of the log of 2."""
FEWEST_BUYERS = 10
"""Conversions in either arm below which a program says nothing about money."""


@dataclass(frozen=True)
class Arm:
    """Mean, variance and kurtosis of an outcome within one arm; arrays of shape (programs,)."""

    customers: Array
    mean: Array
    variance: Array
    kurtosis: Array


def measure_lift(counts: pd.DataFrame, margin: float = 1.0) -> pd.DataFrame:
    """Compare the arms of every program (and segment) that has both.

    Parameters
    ----------
    counts : DataFrame
        From `cvmlib.programs.counts.count_arms`.
    margin : float
        Share of the money that is margin; used where money and predicted value (a margin) are added.

    Returns
    -------
    DataFrame
        One row per program_id, dimension and level: treated and control (customers), rate_treated, rate_control
        (share who converted), mean_treated, mean_control, raw and raw_se (difference of mean money per customer,
        Welch), lift and lift_se (the same after CUPED), freedom (degrees of freedom of lift_se), cut (share of
        variance that CUPED takes out), value and value_se (difference in predicted value), total and total_se (margin
        of the lift plus value), relative (lift as a share of the control mean), log_ratio
        and total_log_ratio with their _se (logarithm of treated over control mean), rate_log_ratio with its _se (the
        same of the shares who converted, after CUPED) and rate_covariance (covariance of its error with that of
        log_ratio), base and base_total (the control means, money and margin per customer).
    """
    keys = ["program_id", "dimension", "level"]
    wide = counts.pivot(index=keys, columns="arm")
    arms = {
        name: wide.xs(name, axis=1, level="arm") for name in ("treated", "control") if name in wide.columns.levels[1]
    }
    if len(arms) < 2:
        return _frame(pd.DataFrame(columns=keys), {})
    both = (arms["treated"]["customers"] >= FEWEST) & (arms["control"]["customers"] >= FEWEST)
    treated, control = (arms[name][both] for name in ("treated", "control"))
    index = treated.index.to_frame(index=False)
    treated, control = (arm.reset_index(drop=True) for arm in (treated, control))
    found = {"treated": treated["customers"], "control": control["customers"]}
    found |= {"rate_treated": treated["buyers"] / treated["customers"]}
    found |= {"rate_control": control["buyers"] / control["customers"]}
    found |= _compare_money(treated, control)
    found |= _compare_conversions(treated, control, found)
    return _frame(index, found | _compare_value(treated, control, margin))


_COLUMNS = (
    "treated", "control", "rate_treated", "rate_control", "mean_treated", "mean_control", "raw", "raw_se", "lift",
    "lift_se", "freedom", "cut", "value", "value_se", "total", "total_se", "base", "base_total", "relative",
    "log_ratio", "log_ratio_se", "total_log_ratio", "total_log_ratio_se", "rate_log_ratio", "rate_log_ratio_se",
    "rate_covariance",
)  # fmt: skip


def _frame(index: pd.DataFrame, found: dict[str, pd.Series]) -> pd.DataFrame:
    return index.assign(**{name: found.get(name, pd.Series(dtype=float)) for name in _COLUMNS})


def count_buyers(lifts: pd.DataFrame | pd.Series) -> pd.Series | float:
    """Conversions in the arm with fewer of them, of rows of `measure_lift`."""
    return np.minimum(lifts["treated"] * lifts["rate_treated"], lifts["control"] * lifts["rate_control"])


def _compare_money(treated: pd.DataFrame, control: pd.DataFrame) -> dict[str, Array]:
    """Compare money per customer, raw and adjusted for what came before."""
    a, b = describe_arm(treated), describe_arm(control)
    raw = a.mean - b.mean
    raw_se = np.sqrt(a.variance / a.customers + b.variance / b.customers)
    slope, share = fit_before(treated, control)
    gap = treated["x1"].to_numpy(float) / a.customers - control["x1"].to_numpy(float) / b.customers
    adjusted = [_adjusted_variance(arm, slope) / arm["customers"].to_numpy(float) for arm in (treated, control)]
    lift_se = np.sqrt(adjusted[0] + adjusted[1])
    pooled = (treated["x1"] + control["x1"]).to_numpy(float) / (a.customers + b.customers)
    base = b.mean - slope * (control["x1"].to_numpy(float) / b.customers - pooled)
    lift = raw - slope * gap
    with np.errstate(divide="ignore", invalid="ignore"):
        fine = (base > 0) & (base + lift > 0)
        relative = np.where(base > 0, lift / base, np.nan)
        ratio = np.where(fine, np.log1p(np.where(fine, relative, 0.0)), np.nan)
        ratio_se = np.sqrt(adjusted[0] / (base + lift) ** 2 + adjusted[1] / base**2)
    return {
        "mean_treated": a.mean, "mean_control": b.mean, "raw": raw, "raw_se": raw_se, "lift": lift, "lift_se": lift_se,
        "freedom": find_freedom(a, b), "cut": share, "base": base, "relative": relative,
        "log_ratio": ratio, "log_ratio_se": np.where(fine, ratio_se, np.nan),
    }  # fmt: skip


def describe_arm(arm: pd.DataFrame) -> Arm:
    """Return mean, unbiased variance and kurtosis of the money of each row of counts."""
    n, y1, y2, y3, y4 = (arm[name].to_numpy(float) for name in ("customers", "y1", "y2", "y3", "y4"))
    mean = y1 / n
    second = np.maximum(y2 / n - mean**2, 0.0)
    fourth = np.maximum(y4 / n - 4 * mean * y3 / n + 6 * mean**2 * y2 / n - 3 * mean**4, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = np.where(second > 0, fourth / second**2, 1.0)
    return Arm(n, mean, second * n / (n - 1), np.clip(kurtosis, 1.0, n))


def find_freedom(a: Arm, b: Arm) -> Array:
    """Degrees of freedom of the variance of a difference of two means, from the kurtosis of each arm.

    The variance of a sample variance is ``variance**2 (kurtosis - (n - 3) / (n - 1)) / n``; matching the two moments of
    the sum to a scaled chi-square gives the degrees of freedom.
    """
    parts = [arm.variance / arm.customers for arm in (a, b)]
    spread = [
        part**2 * np.maximum(arm.kurtosis - (arm.customers - 3) / (arm.customers - 1), 1e-9) / arm.customers
        for part, arm in zip(parts, (a, b), strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 2 * (parts[0] + parts[1]) ** 2 / (spread[0] + spread[1])
    return np.where(np.isfinite(freedom), np.maximum(freedom, LEAST_FREEDOM), 1e6)


def fit_before(treated: pd.DataFrame, control: pd.DataFrame) -> tuple[Array, Array]:
    """Return the slope of money on money before, within arms, and the share of variance it explains (R squared)."""
    xx = yy = xy = 0.0
    for arm in (treated, control):
        n, x1, y1 = (arm[name].to_numpy(float) for name in ("customers", "x1", "y1"))
        xx = xx + np.maximum(arm["x2"].to_numpy(float) - x1**2 / n, 0.0)
        yy = yy + np.maximum(arm["y2"].to_numpy(float) - y1**2 / n, 0.0)
        xy = xy + arm["xy"].to_numpy(float) - x1 * y1 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (xx > 0) & (yy > 0)
        slope = np.where(known, xy / xx, 0.0)
        share = np.where(known, xy**2 / (xx * yy), 0.0)
    return slope, np.clip(share, 0.0, 1.0)


def _adjusted_variance(arm: pd.DataFrame, slope: Array) -> Array:
    """Variance within an arm of money less the slope times money before."""
    n, x1, y1 = (arm[name].to_numpy(float) for name in ("customers", "x1", "y1"))
    xx, yy = arm["x2"].to_numpy(float) - x1**2 / n, arm["y2"].to_numpy(float) - y1**2 / n
    xy = arm["xy"].to_numpy(float) - x1 * y1 / n
    return np.maximum(yy - 2 * slope * xy + slope**2 * xx, 0.0) / (n - 1)


def _compare_conversions(
    treated: pd.DataFrame, control: pd.DataFrame, money: dict[str, pd.Series | Array]
) -> dict[str, Array]:
    """Compare the shares who converted, adjusted for what came before, and how their errors go with those of money."""
    rates = [arm.assign(y1=arm["buyers"], y2=arm["buyers"], xy=arm["bx"]) for arm in (treated, control)]
    found = _compare_money(*rates)
    slopes = fit_before(treated, control)[0], fit_before(*rates)[0]
    covariance = 0.0
    means = [(money["base"] + money["lift"], found["base"] + found["lift"]), (money["base"], found["base"])]
    for arm, (mean, rate) in zip((treated, control), means, strict=True):
        n, x1, y1, b1 = (arm[name].to_numpy(float) for name in ("customers", "x1", "y1", "buyers"))
        both = arm["by"] - y1 * b1 / n - slopes[0] * (arm["bx"] - x1 * b1 / n) - slopes[1] * (arm["xy"] - x1 * y1 / n)
        both = both + slopes[0] * slopes[1] * (arm["x2"] - x1**2 / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            covariance = covariance + both.to_numpy(float) / (n - 1) / n / (mean * rate)
    known = np.isfinite(found["log_ratio"]) & np.isfinite(money["log_ratio"])
    return {
        "rate_log_ratio": np.where(known, found["log_ratio"], np.nan),
        "rate_log_ratio_se": np.where(known, found["log_ratio_se"], np.nan),
        "rate_covariance": np.where(known, covariance, np.nan),
    }


def _compare_value(treated: pd.DataFrame, control: pd.DataFrame, margin: float) -> dict[str, Array]:
    """Compare predicted value, and the sum of margin and predicted value, adjusted for what came before."""
    totals = [arm.assign(**_sum_moments(arm, margin)) for arm in (treated, control)]
    values = [arm.assign(**_sum_moments(arm, 0.0)) for arm in (treated, control)]
    value, total = _compare_money(*values), _compare_money(*totals)
    return {
        "value": value["lift"], "value_se": value["lift_se"], "total": total["lift"], "total_se": total["lift_se"],
        "base_total": total["base"], "total_log_ratio": total["log_ratio"],
        "total_log_ratio_se": total["log_ratio_se"],
    }  # fmt: skip


def _sum_moments(arm: pd.DataFrame, margin: float) -> dict[str, pd.Series]:
    """First two moments of ``margin * y + v``, in the names that `_compare_money` reads; higher ones are not used."""
    return {
        "y1": margin * arm["y1"] + arm["v1"],
        "y2": margin**2 * arm["y2"] + 2 * margin * arm["vy"] + arm["v2"],
        "xy": margin * arm["xy"] + arm["vx"],
    }


def measure_conversion(counts: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Posterior of the difference of conversion rates, with a Beta(1/2, 1/2) prior on each arm's rate.

    Parameters
    ----------
    counts : DataFrame
        From `cvmlib.programs.counts.count_arms`; ``buyers`` are conversions.
    interval : float
        Probability of the interval.

    Returns
    -------
    DataFrame
        program_id, difference, low, high (shares), and better: the probability that the treated convert more often.
    """
    overall = counts[counts["dimension"] == ""]
    rows = []
    for program, arms in overall.groupby("program_id", sort=True):
        found = arms.set_index("arm")
        if not {"treated", "control"} <= set(found.index):
            continue
        betas = [_beta(found.loc[name]) for name in ("treated", "control")]
        draws = (np.arange(4_000) + 0.5) / 4_000
        shuffled = np.random.default_rng(1).permutation(draws)  # a Latin hypercube in two dimensions
        difference = betas[0].ppf(draws) - betas[1].ppf(shuffled)
        low, high = np.quantile(difference, [(1 - interval) / 2, (1 + interval) / 2])
        mean = betas[0].mean() - betas[1].mean()
        rows.append((program, mean, low, high, float((difference > 0).mean())))
    return pd.DataFrame(rows, columns=["program_id", "difference", "low", "high", "better"])


def _beta(arm: pd.Series) -> stats._distn_infrastructure.rv_frozen:
    return stats.beta(arm["buyers"] + 0.5, max(arm["customers"] - arm["buyers"], 0.0) + 0.5)
