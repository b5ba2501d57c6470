r"""Add-on: how many more products comparable customers put into one purchase, and what goes together in it.

Beyond the first, customer i puts y products into a purchase, with a mean :math:`\lambda_i` of his own that varies over
customers as Gamma(s, b). The variance within customers, W, tells how little one purchase says; in the units of
:math:`\phi = W / \mu` purchases are as good as Poisson, so that after n purchases with Y further products in all

.. math:: \lambda_i \sim \mathrm{Gamma}(s + Y / \phi,\; b + n / \phi).

Mean, W and the variance between customers are those of the analysis of variance with unequal numbers of purchases. A
comparable customer's :math:`\lambda_j \sim \mathrm{Gamma}(s, b)` is larger with a probability, and then by so much,
which the regularised incomplete beta function gives.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.periods import start_of_period

Array = npt.NDArray[np.float64]

_FEWEST = 20
"""Purchases with both categories, at least, for one to be said to go with the other."""


@dataclass(frozen=True)
class Lines:
    """How customers differ in the products beyond the first of a purchase.

    Parameters
    ----------
    mean : float
        Mean of all purchases.
    between, within : float
        Variance of the customers' own means, and of the purchases of one customer.
    """

    mean: float
    between: float
    within: float

    @property
    def shape(self) -> float:
        """Shape s of the distribution of the customers' own means; infinite where they do not differ."""
        return self.mean**2 / self.between if self.between > 0 else float("inf")


def _list_lines(transactions: ir.Table, time_unit: str) -> ir.Table:
    """List the products of every purchase, each once: customer_id, day, product_id."""
    bought = transactions.filter(transactions.value > 0, transactions.product_id.notnull())
    return bought.select("customer_id", "product_id", day=start_of_period(bought.date, time_unit)).distinct()


def count_lines(transactions: ir.Table, time_unit: str = "day") -> ir.Table:
    """Count each customer's purchases and the different products in them.

    Parameters
    ----------
    transactions : ibis Table
        ``customer_id``, ``date``, ``value``, ``product_id``; cleaned.
    time_unit : {"hour", "day", "week"}
        What is bought within one is one purchase.

    Returns
    -------
    ibis Table
        customer_id, purchases, further (products beyond the first of each, in all), squares (sum of their squares).
    """
    lines = _list_lines(transactions, time_unit)
    each = lines.group_by("customer_id", "day").agg(further=lines.count() - 1)
    return each.group_by("customer_id").agg(
        purchases=each.count(), squares=(each.further * each.further).sum(), further=each.further.sum()
    )


def count_together(transactions: ir.Table, products: ir.Table, time_unit: str = "day") -> ir.Table:
    """Count purchases of several products by pairs of different categories in them.

    Returns
    -------
    ibis Table
        category, other (the same: purchases with the category at all), purchases; of all, both are empty.
    """
    known = products.filter(products.category.notnull()).select("product_id", "category")
    lines = _list_lines(transactions, time_unit).inner_join(known, "product_id")
    held = lines.select("customer_id", "day", "category", "product_id")
    several = held.group_by("customer_id", "day").agg(number=held.product_id.nunique())
    several = several.filter(several.number > 1)
    held = held.select("customer_id", "day", "category").distinct().semi_join(several, ["customer_id", "day"])
    pairs = held.inner_join(held, ["customer_id", "day"], rname="{name}_other")
    counted = pairs.group_by("category", other=pairs.category_other).agg(purchases=pairs.count())
    nothing = ibis.null("string")
    return counted.union(
        several.agg(purchases=several.count()).select(category=nothing, other=nothing, purchases="purchases")
    )


def fit_lines(lines: ir.Table) -> Lines | None:
    """Find how customers differ, by analysis of variance; None where nobody bought twice or several products at once.

    Parameters
    ----------
    lines : ibis Table
        From `count_lines`.
    """
    n, y = lines.purchases.cast("float64"), lines.further.cast("float64")
    sums = lines.agg(
        customers=lines.count(), n=n.sum(), n2=(n * n).sum(), y=y.sum(), q=lines.squares.sum(), each=(y * y / n).sum()
    )
    customers, n, n2, y, q, each = (float(value or 0.0) for value in sums.execute().iloc[0])
    if not y or n <= customers or customers < 2:
        return None
    within = (q - each) / (n - customers)
    between = (each - y**2 / n - (customers - 1) * within) / (n - n2 / n)
    return Lines(y / n, max(between, 0.0), within)


def compare_lines(counts: pd.DataFrame, fitted: Lines) -> pd.DataFrame:
    """Hold customers with the same counts against a comparable customer drawn at random.

    Parameters
    ----------
    counts : DataFrame
        purchases, further.
    fitted : Lines
        From `fit_lines`.

    Returns
    -------
    DataFrame
        `counts` with basket (own mean number of products in a purchase), more_chance (probability that a comparable
        customer's is larger) and more (expected gap: products in a purchase).
    """
    if not fitted.between:
        return counts.assign(basket=1 + fitted.mean, more_chance=0.0, more=0.0)
    s = fitted.shape
    b, weight = s / fitted.mean, fitted.mean / fitted.within if fitted.within > 0 else 1e9
    c, d = (s + weight * counts["further"].to_numpy(float), b + weight * counts["purchases"].to_numpy(float))
    level = d / (b + d)
    chance = special.betainc(c, s, level)
    more = s / b * special.betainc(c, s + 1, level) - c / d * special.betainc(c + 1, s, level)
    return counts.assign(basket=1 + c / d, more_chance=chance, more=np.maximum(more, 0.0))


def find_add_on(lines: ir.Table, fitted: Lines) -> ir.Table:
    """Tell of every customer how much more others put into a purchase; customers alike are worked out once.

    Returns
    -------
    ibis Table
        customer_id, basket, more_chance, more.
    """
    alike = lines.select("purchases", "further").distinct().execute()
    found = compare_lines(alike.sort_values(["purchases", "further"], ignore_index=True), fitted)
    table = lines.inner_join(ibis.memtable(found), ["purchases", "further"])
    return table.select("customer_id", "basket", "more_chance", "more")


def find_partners(together: pd.DataFrame) -> pd.DataFrame:
    """Find which other category goes with each: the one that shares purchases with it beyond chance.

    Parameters
    ----------
    together : DataFrame
        From `count_together`.

    Returns
    -------
    DataFrame
        category, partner, share (of its purchases of several products that hold the partner too), times (as often as
        by chance); of each the partner whose `times`, less 1.64 standard errors, is largest, if above 1.
    """
    total = float(together.loc[together["category"].isna(), "purchases"].sum())
    pairs = together.dropna(subset="category")
    alone = pairs[pairs["category"] == pairs["other"]].set_index("category")["purchases"].astype(float)
    rows = pairs[(pairs["category"] != pairs["other"]) & (pairs["purchases"] >= _FEWEST)]
    both = rows["purchases"].to_numpy(float)
    mine, others = (rows[name].map(alone).to_numpy(float) for name in ("category", "other"))
    usual = mine * others / max(total, 1.0)
    rows = rows.assign(share=both / mine, times=both / usual, least=(both - 1.64 * np.sqrt(both)) / usual)
    best = (
        rows[rows["least"] > 1].sort_values(["category", "least"], ascending=[True, False]).groupby("category").head(1)
    )
    return best.rename(columns={"other": "partner"})[["category", "partner", "share", "times"]].reset_index(drop=True)
