r"""Which product categories a customer lacks that comparable customers hold, and which he is likely to take next.

Of the lines of a customer, those of category c are beta-binomial: his true share varies over customers about
:math:`\pi_c` with a weight of :math:`\kappa_c` lines, found by maximum likelihood on counted pairs
(lines of the category, lines in all). Posterior mean of his share: :math:`(n_c + \kappa_c \pi_c) / (n + \kappa_c)`.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import special
from scipy.optimize import minimize_scalar


def count_pairs(holdings: ir.Table) -> pd.DataFrame:
    """Count customers by category, lines of it and lines in all.

    Parameters
    ----------
    holdings : ibis Table
        From `cvmlib.decisions.cash.count_holdings`.

    Returns
    -------
    DataFrame
        category, lines, total, customers; customers who do not hold a category have 0 lines of it.
    """
    total = holdings.group_by("customer_id").agg(total=holdings.lines.sum())
    held = holdings.join(total, "customer_id")
    some = held.group_by("category", "lines", "total").agg(customers=held.count()).execute()
    sizes = total.group_by("total").agg(everybody=total.count()).execute()
    held_by = some.groupby(["category", "total"], as_index=False)["customers"].sum()
    none = pd.MultiIndex.from_product([sorted(some["category"].unique()), sizes["total"]], names=["category", "total"])
    none = none.to_frame(index=False).merge(sizes, on="total").merge(held_by, on=["category", "total"], how="left")
    none["customers"] = none["everybody"] - none["customers"].fillna(0).astype("int64")
    none = none[none["customers"] > 0].assign(lines=0)
    columns = ["category", "lines", "total", "customers"]
    return pd.concat([some[columns], none[columns]]).sort_values(columns[:3], ignore_index=True)


def fit_categories(pairs: pd.DataFrame) -> pd.DataFrame:
    """Share and weight of every category by maximum likelihood.

    Returns
    -------
    DataFrame
        category, share (pi), weight (kappa, lines), holders (share of customers who hold it).
    """
    rows = []
    for category, part in pairs.groupby("category", sort=True):
        k, n, w = (part[name].to_numpy(dtype=float) for name in ("lines", "total", "customers"))
        share = float((k @ w) / (n @ w))

        def loss(log: float, k=k, n=n, w=w, share=share) -> float:
            a, b = share * np.exp(log), (1 - share) * np.exp(log)
            return -float(w @ (special.betaln(k + a, n - k + b) - special.betaln(a, b)))

        weight = np.exp(minimize_scalar(loss, bounds=(-2.0, 9.0), method="bounded").x) if 0 < share < 1 else 1.0
        holders = float(w[k > 0].sum() / w.sum())
        rows.append({"category": category, "share": share, "weight": float(weight), "holders": holders})
    return pd.DataFrame(rows)


def find_next(holdings: ir.Table, categories: pd.DataFrame) -> ir.Table:
    """Tell of each customer how much of his gap lies in categories he does not hold, and which he may take next.

    Parameters
    ----------
    holdings : ibis Table
        From `cvmlib.decisions.cash.count_holdings`.
    categories : DataFrame
        From `fit_categories`.

    Returns
    -------
    ibis Table
        customer_id, held (categories), cross (share of what lies below comparable customers' shares that is in
        categories not held), next_category (not held, the likeliest; null where all are held), next_chance (that his
        next line is of it).
    """
    total = holdings.group_by("customer_id").agg(total=holdings.lines.sum())
    known = ibis.memtable(categories[["category", "share", "weight"]])
    grid = total.cross_join(known)
    mine = holdings.select("customer_id", "category", "lines")
    grid = grid.left_join(mine, ["customer_id", "category"], rname="{name}_held")
    lines = grid.lines.fill_null(0)
    chance = (lines + grid.weight * grid.share) / (grid.total + grid.weight)
    grid = grid.select(
        "customer_id", "category", lines=lines, chance=chance, gap=ibis.greatest(grid.share - chance, 0.0)
    )
    absent = grid.lines == 0
    found = grid.group_by("customer_id").agg(
        held=(~absent).sum(),
        lacking=grid.gap.sum(where=absent).fill_null(0.0),
        gap=grid.gap.sum(),
        next_category=grid.category.argmax(grid.chance, where=absent),
        next_chance=grid.chance.max(where=absent).fill_null(0.0),
    )
    return found.mutate(cross=ibis.ifelse(found.gap > 0, found.lacking / found.gap, 0.0)).drop("lacking", "gap")
