"""Residual value: what each active subscriber, and all together, will bring over the portfolio's horizon.

Value is discounted margin less costs. A month is billed in advance, on the day of the month on which the subscription
began, and not paid back; plan and price stay as they are. A customer's interval is
predictive: it holds the outcome (when this customer leaves), not only its expectation.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.business_unit import BusinessUnit
from cvmlib.churn.forecast import Forecast, Terms, summarise_draws
from cvmlib.churn.months import month_label
from cvmlib.portfolio import Portfolio

SCORES = ("p_active", "expected_months", "discounted_months")


def make_terms(portfolio: Portfolio, unit: BusinessUnit) -> Terms:
    """Terms of valuation of a unit: `costs.per_customer_year` and, per monthly payment, `costs.per_transaction`."""
    cost = unit.costs.per_customer_year / 12 + unit.costs.per_transaction
    return Terms(portfolio.horizon_months, unit.margin, cost, portfolio.discount_rate)


def join_value(spells: ir.Table, scores: pd.DataFrame, terms: Terms) -> ir.Table:
    """Join the scores of the cells back to the customers, in the engine that holds the spells.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`.
    scores : pandas.DataFrame
        From `cvmlib.churn.forecast.score_cells`.
    terms : Terms
        The terms of the forecast behind the scores.

    Returns
    -------
    ibis Table
        One row per customer with an active subscription: customer_id, subscriptions (active ones), plan, tenure
        (months, the longest), price (money per month, all of them), p_active (that one subscription at least is active
        at the horizon, of several the likeliest), expected_months with _low and _high (of the longest expected), value
        with _low and _high (money; of several subscriptions the sum, whose interval then holds the sum of the ends and
        is too wide rather than too narrow).
    """
    columns = [f"{name}{end}" for name in SCORES[1:] for end in ("", "_low", "_high")]
    table = ibis.memtable(scores[["plan", "tenure", "p_active", *columns]])
    rows = spells.filter(~spells.churned).inner_join(table, ["plan", "tenure"])
    monthly = terms.margin * rows.price - terms.cost_per_month
    low, high = monthly * rows.discounted_months_low, monthly * rows.discounted_months_high
    rows = rows.mutate(value=monthly * rows.discounted_months, value_low=ibis.least(low, high))
    rows = rows.mutate(value_high=ibis.greatest(low, high))
    return rows.group_by("customer_id").aggregate(
        subscriptions=rows.count(),
        plan=rows.plan.min(),
        tenure=rows.tenure.max(),
        price=rows.price.sum(),
        p_active=rows.p_active.max(),
        expected_months=rows.expected_months.max(),
        expected_months_low=rows.expected_months_low.max(),
        expected_months_high=rows.expected_months_high.max(),
        value=rows.value.sum(),
        value_low=rows.value_low.sum(),
        value_high=rows.value_high.sum(),
    )


def tabulate_forecast(forecast: Forecast, end_month: int, interval: float = 0.9) -> pd.DataFrame:
    """Forecast of all active subscriptions month by month.

    Parameters
    ----------
    forecast : Forecast
        From `cvmlib.churn.forecast.forecast_cells`.
    end_month : int
        Grid month in which the observation ends.
    interval : float, default 0.9
        Probability of the forecast intervals.

    Returns
    -------
    pandas.DataFrame
        month (``YYYY-MM``), active with _low and _high (subscriptions at the end of the month), revenue with _low and
        _high (money in the month).
    """
    rows = []
    for month in range(forecast.terms.horizon_months):
        row = {"month": month_label(end_month + 1 + month)}
        for name, draws in (("active", forecast.active[:, month]), ("revenue", forecast.revenue[:, month])):
            summary = summarise_draws(draws, interval)
            row |= {name: summary["mean"], f"{name}_low": summary["low"], f"{name}_high": summary["high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def tabulate_plans(forecast: Forecast, scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the expected value by plan and year of tenure.

    Returns
    -------
    pandas.DataFrame
        plan, tenure_years (0 = first year), subscriptions, revenue_now (money per month), p_active (mean), value
        (expected, money), value_each (per subscription).
    """
    terms = forecast.terms
    cells = forecast.cells.reset_index(drop=True)
    rows = pd.DataFrame({"plan": cells["plan"], "tenure_years": cells["tenure"] // 12})
    rows["subscriptions"], rows["revenue_now"] = cells["subscriptions"], cells["price"]
    rows["p_active"] = scores["p_active"] * cells["subscriptions"]
    monthly = terms.margin * cells["price"] - terms.cost_per_month * cells["subscriptions"]
    rows["value"] = monthly * scores["discounted_months"]
    table = rows.groupby(["plan", "tenure_years"], as_index=False).sum()
    table["p_active"] /= table["subscriptions"]
    table["value_each"] = table["value"] / table["subscriptions"]
    return table
