"""What a channel truly caused: customers drawn at random from whom it was withheld, against those it was left to.

Whoever was drawn counts in the arm drawn, whatever they met (intention to treat). The arms differ by chance alone but
for the touches of the channel, so the difference in conversions divided by the difference in touches is what a touch
caused (Wald's estimator, with the arm as instrument), and its standard error is that of the mean of ``conversions -
effect x touches`` in both arms. Conversions count until some days after the test, since a touch acts later. Times the
channel's touches in the whole log, it is what would be lost without the channel, if a touch did as much outside the
test as inside.
"""

import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

ARMS = ("treated", "control")
_SUMS = (
    "customers",
    "touches",
    "touches_sq",
    "conversions",
    "conversions_sq",
    "both",
    "value",
    "value_sq",
    "value_both",
)
COLUMNS = (
    "channel", "first_day", "last_day", "customers", "effect", "effect_se", "conversions", "conversions_se", "value",
    "value_se", "p_value", "reason",
)  # fmt: skip


def count_arms(
    holdouts: ir.Table, touches: ir.Table, conversions: ir.Table, end: datetime.date, carryover_days: int
) -> pd.DataFrame:
    """Count customers, touches and conversions by test and arm, with sums of squares and products over customers.

    Parameters
    ----------
    holdouts : ibis Table
        Mapped: channel, customer_id, arm, start, end.
    touches, conversions : ibis Table
        Usable rows: customer_id, second, channel; customer_id, second, value.
    end : datetime.date
        Last day of the observation.
    carryover_days : int
        Days after the test in which conversions still count.

    Returns
    -------
    pandas.DataFrame
        channel, first_day, last_day, arm, and for the customers of the arm: customers, touches, touches_sq,
        conversions, conversions_sq, both (sum of touches x conversions), value, value_sq, value_both; twice (customers
        left out because they are in both arms).
    """
    h = holdouts.filter(
        holdouts.channel.notnull() & holdouts.customer_id.notnull() & holdouts.arm.isin(ARMS)
        & holdouts.start.notnull() & holdouts.end.notnull()
    )  # fmt: skip
    h = h.select(
        "customer_id", "arm", channel=h.channel, first_day=h.start.date(), last_day=h.end.date(),
        first=h.start.truncate("D").epoch_seconds(), last=h.end.truncate("D").epoch_seconds() + 86_400,
    ).distinct()  # fmt: skip
    key = ["channel", "customer_id", "first", "last"]
    h = h.mutate(arms=h.arm.count().over(ibis.window(group_by=key)))  # rows differ, so arms do
    until = int(datetime.datetime.combine(end, datetime.time(), datetime.UTC).timestamp()) + 86_400
    met = h.join(touches, ["channel", "customer_id"])
    met = met.filter((met.second >= met["first"]) & (met.second < met["last"]))
    met = met.group_by(key).agg(touches=met.count())
    bought = h.drop("arm").distinct().join(conversions, "customer_id")
    late = ibis.least(bought["last"] + 86_400 * carryover_days, until)
    bought = bought.filter((bought.second >= bought["first"]) & (bought.second < late))
    bought = bought.group_by(key).agg(conversions=bought.count(), value=bought.value.sum())
    rows = h.left_join(met, key).drop([f"{name}_right" for name in key])
    rows = rows.left_join(bought, key).drop([f"{name}_right" for name in key])
    t, c, v = (rows[name].fill_null(0).cast("float64") for name in ("touches", "conversions", "value"))
    rows = rows.mutate(t=t, c=c, v=v, once=(rows.arms == 1).cast("int64"))
    once = rows.once
    sums = rows.group_by(["channel", "first_day", "last_day", "arm"]).agg(
        customers=once.sum(), touches=(rows.t * once).sum(), touches_sq=(rows.t * rows.t * once).sum(),
        conversions=(rows.c * once).sum(), conversions_sq=(rows.c * rows.c * once).sum(),
        both=(rows.t * rows.c * once).sum(), value=(rows.v * once).sum(), value_sq=(rows.v * rows.v * once).sum(),
        value_both=(rows.t * rows.v * once).sum(), twice=(1 - once).sum(),
    )  # fmt: skip
    return sums.execute().sort_values(["channel", "first_day", "arm"], ignore_index=True)


def estimate_effects(arms: pd.DataFrame, touches: pd.Series, carryover_days: int = 0) -> pd.DataFrame:
    """Estimate what each tested channel caused; a test that cannot tell says why.

    Parameters
    ----------
    arms : pandas.DataFrame
        From `count_arms`.
    touches : pandas.Series
        Touches of each channel in the whole log, by channel.
    carryover_days : int
        As in `count_arms`, for the words.

    Returns
    -------
    pandas.DataFrame
        One row per test: channel, first_day, last_day, customers, effect (conversions per touch) and effect_se,
        conversions and value (money) caused in the whole log, each with its standard error, p_value (of no effect,
        two-sided), reason (empty when the test tells something; NaN numbers otherwise).
    """
    rows = []
    for (channel, first, last), test in arms.groupby(["channel", "first_day", "last_day"], sort=True):
        row = {"channel": channel, "first_day": first, "last_day": last, "customers": int(test["customers"].sum())}
        by_arm = test.set_index("arm")[list(_SUMS)].astype(float)
        row["reason"] = _refusal(channel, by_arm, touches)
        if not row["reason"]:
            row |= _wald(by_arm, float(touches[channel]))
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def _refusal(channel: str, by_arm: pd.DataFrame, touches: pd.Series) -> str:
    for arm in ARMS:
        if arm not in by_arm.index or by_arm.loc[arm, "customers"] < 2:
            return f"the {arm} arm has fewer than two customers, so there is nobody to compare with"
    if channel not in touches.index:
        return f"the log of touchpoints has no channel {channel}; it names {', '.join(list(touches.index)[:8])}"
    mean = by_arm["touches"] / by_arm["customers"]
    if mean["treated"] <= 0:
        return "no customer of the treated arm met the channel during the test"
    if mean["control"] > 0.8 * mean["treated"]:
        return (
            f"the channel was hardly withheld: {mean['control']:.2f} touches a customer in the control arm against "
            f"{mean['treated']:.2f} in the treated one"
        )
    return ""


def _wald(by_arm: pd.DataFrame, touches: float) -> dict[str, float]:
    """Effect per touch by Wald's estimator, with its standard error, and what it makes of all touches."""
    n = by_arm["customers"]
    mean = by_arm.div(n, axis=0)
    contrast = mean.loc["treated"] - mean.loc["control"]
    found = {}
    for name, both in (("conversions", "both"), ("value", "value_both")):
        effect = contrast[name] / contrast["touches"]
        square = mean[f"{name}_sq"] - 2 * effect * mean[both] + effect**2 * mean["touches_sq"]
        variance = (square - (mean[name] - effect * mean["touches"]) ** 2) / (n - 1)
        se = float(np.sqrt(np.maximum(variance, 0.0).sum()) / contrast["touches"])
        found |= {name: effect * touches, f"{name}_se": se * touches}
        if name == "conversions":
            found |= {"effect": effect, "effect_se": se, "p_value": 2 * stats.norm.sf(abs(effect) / max(se, 1e-300))}
    return found


def combine_tests(tests: pd.DataFrame) -> pd.DataFrame:
    """Combine the tests of each channel, weighted by their precision; those that tell nothing are left out.

    Returns
    -------
    pandas.DataFrame
        channel, conversions, conversions_se, value, value_se, tests (number).
    """
    rows = []
    for channel, part in tests[tests["reason"] == ""].groupby("channel", sort=True):
        row: dict[str, object] = {"channel": channel, "tests": len(part)}
        for name in ("conversions", "value"):
            weight = 1 / np.maximum(part[f"{name}_se"].to_numpy(float), 1e-12) ** 2
            row |= {name: float(part[name] @ weight / weight.sum()), f"{name}_se": float(weight.sum() ** -0.5)}
        rows.append(row)
    return pd.DataFrame(rows, columns=["channel", "conversions", "conversions_se", "value", "value_se", "tests"])
