"""A customer's value in all its parts: historic, current, potential, influence; the parts add up, for each and for all.

| part | what it is | whose euro |
| --- | --- | --- |
| historic | realised margin less cost to serve, to the cent | his own |
| current | margin expected over the horizon if behaviour goes on | his own |
| potential | margin beyond it if he spent like comparable customers who spend more | his own |
| credit | received from those he brought, less what he passes on: sums to zero over all | re-credited |
| coming | margin of the customers whom he is expected to bring | counted with him alone |

Influence is credit and coming. A customer's value is the sum of the parts; that of all customers the sum of historic,
current, potential and coming, for what is credited to one is taken from another. Ends of a customer's interval are the
sums of the parts' ends: the parts rest on the same purchases, so that the interval is rather too wide than too narrow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from cvmlib.decisions.influence import (
    PASSED_ON,
    Referring,
    Tree,
    build_tree,
    draw_sums,
    expect_referrals,
    find_links,
    pass_on,
)

Array = npt.NDArray[np.float64]
Sampler = Callable[[pd.DataFrame], Array]
"""From ``customer_id`` and ``weight`` to draws of their weighted sum of value ahead, as many as of the unit (money)."""

PARTS = ("historic", "current", "potential", "credit", "coming")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Influence:
    """What referrals are worth.

    Parameters
    ----------
    members : DataFrame
        customer_id, credit with credit_low, credit_high, and received: of all who referred or were referred.
    coming : DataFrame
        joined (day number), referred (customers brought so far), coming with coming_low, coming_high (money), expected
        (referrals): by count row.
    received, drawn_received, drawn_coming : float; array, shape (draws,)
        Credited in all, expected; and what is credited and coming in all, an outcome per draw (money).
    referred : int
        Customers who were referred by a known customer.
    referrals : float
        New customers expected from referrals over the horizon.
    newcomer : float
        Margin of one of them over as many months (money); not a number where none was followed for so long.
    """

    members: pd.DataFrame
    coming: pd.DataFrame
    received: float
    drawn_received: Array
    drawn_coming: Array
    referred: int
    referrals: float
    newcomer: float


def measure_influence(
    people: ir.Table,
    own: ir.Table,
    end: date,
    newcomers: pd.DataFrame,
    ahead: tuple[Array, float] | Sampler,
    days: float,
    rate: float,
    interval: float = 0.9,
    seed: int = 1,
    unit: str = "",
) -> Influence:
    """Credit what referred customers are worth, and value the referrals to come.

    Parameters
    ----------
    people : ibis Table
        ``customer_id``, ``referred_by``.
    own : ibis Table
        ``customer_id``, ``first`` (timestamp), ``historic``, ``current`` with _low and _high (money): all customers.
    end : date
        End of observation.
    newcomers : DataFrame
        Margin of the first months of customers followed for as long: one row, customers, mean, deviation.
    ahead : tuple of array and float, or Sampler
        What draws the current value of customers together; or, where only the whole unit has been drawn, draws of its
        current value, and its mean: customers then move with it, and by the widths of their own intervals.
    days : float
        Length of the horizon.
    rate : float
        Discount rate a year.
    interval, seed, unit
        Probability of the intervals; seed of what is drawn; name of the unit, for messages.

    Raises
    ------
    DataError
        Referrals go in a circle.
    """
    tree = build_tree(find_links(people), unit)
    rng = np.random.default_rng([seed, 11])
    members, received, drawn = _credit(tree, own, ahead, interval, rng)
    rows, events = _count_referrals(tree, own)
    referring = expect_referrals(rows, events, (end - _EPOCH).days, days, interval, len(drawn), seed)
    years = days / 365.25
    force = np.log1p(rate)
    discount = -np.expm1(-force * years) / (force * years) if force else 1.0
    coming, drawn_coming, newcomer = _value_coming(referring, newcomers, discount, rng)
    size = rows["customers"].to_numpy(float)
    expected = float(size @ referring.mean)
    return Influence(members, coming, received, drawn, drawn_coming, int((tree.parent >= 0).sum()), expected, newcomer)


def _credit(
    tree: Tree, own: ir.Table, ahead: tuple[Array, float] | Sampler, interval: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, float, Array]:
    """Credit of every member of the tree with its interval; what is credited in all; its draws."""
    names = ibis.memtable(pd.DataFrame({"customer_id": tree.customers.astype(str)}))
    chosen = ["customer_id", "historic", "current", "current_low", "current_high"]
    found = own.semi_join(names, "customer_id").select(*chosen).execute()
    table = pd.DataFrame({"customer_id": tree.customers}).merge(found, on="customer_id", how="left").fillna(0.0)
    historic, current, low, high = (table[name].to_numpy(float) for name in chosen[1:])
    received, given = pass_on(tree, historic + current)
    credit = received - given
    down, up = _reach(tree, np.maximum(current - low, 0.0), np.maximum(high - current, 0.0))
    members = pd.DataFrame(
        {"customer_id": tree.customers, "credit": credit, "credit_low": credit - down, "credit_high": credit + up,
         "received": received, "brought": _count_brought(tree)}
    )  # fmt: skip
    weight = tree.weight
    if callable(ahead):
        drawn = ahead(table[["customer_id"]].assign(weight=weight)[weight > 0])
    else:
        spread = (high - low) / (2 * norm.ppf(0.5 + interval / 2))
        moves = ahead[0] / ahead[1] if ahead[1] else np.ones(len(ahead[0]))
        noise = np.sqrt(float(weight**2 @ spread**2)) * rng.standard_normal(len(moves))
        drawn = float(weight @ current) * moves + noise
    return members, float(received.sum()), float(weight @ historic) + drawn


def _reach(tree: Tree, down: Array, up: Array) -> tuple[Array, Array]:
    """How far below and above its mean the interval of each member's credit goes.

    Distances of independent terms are added as squares, those of what is passed on the other way round (Zou and Donner
    2008, Statistics in Medicine 27: 1693-1702); a credit is what is received, less the share passed on of that and of
    one's own.
    """
    share = np.where(tree.parent >= 0, PASSED_ON, 0.0)
    below, above = (pass_on(tree, one**2, PASSED_ON**2)[0] for one in (down, up))
    low = (1 - share) ** 2 * below + (share * up) ** 2
    return np.sqrt(low), np.sqrt((1 - share) ** 2 * above + (share * down) ** 2)


def _count_brought(tree: Tree) -> npt.NDArray[np.int64]:
    return np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree.customers))


def _count_referrals(tree: Tree, own: ir.Table) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Count customers by the day they joined and the customers they brought; days on which referred ones joined."""
    brought = _count_brought(tree)
    link = pd.DataFrame({"customer_id": tree.customers.astype(str), "referred": brought, "was": tree.parent >= 0})
    day = (own["first"].epoch_seconds() / 86_400).floor().cast("int64")
    each = own.select("customer_id", joined=day).left_join(ibis.memtable(link), "customer_id")
    each = each.mutate(referred=each.referred.fill_null(0), was=each.was.fill_null(False))
    counted = each.group_by("joined", "referred", "was").agg(customers=each.count()).execute()
    rows = counted.groupby(["joined", "referred"], as_index=False)["customers"].sum()
    was = counted[counted["was"]]
    return rows, np.repeat(was["joined"].to_numpy(np.int64), was["customers"].to_numpy(np.int64))


def _value_coming(
    referring: Referring, newcomers: pd.DataFrame, discount: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, Array, float]:
    """Money that referrals to come bring: by count row, in all by draw, and of one newcomer."""
    draws = len(referring.draws)
    rows = referring.rows[["joined", "referred"]].assign(expected=referring.mean)
    if newcomers.empty or not newcomers["customers"].iloc[0] > 1:
        return rows.assign(coming=0.0, coming_low=0.0, coming_high=0.0), np.zeros(draws), float("nan")
    number, mean, deviation = (float(newcomers[name].iloc[0]) for name in ("customers", "mean", "deviation"))
    drawn = discount * draw_sums(referring.draws, number, mean, deviation, rng)
    money = {f"coming{end}": getattr(referring, name) * discount * mean for end, name in _ENDS}
    return rows.assign(**money), drawn, mean


_ENDS = (("", "mean"), ("_low", "low"), ("_high", "high"))


def join_parts(own: ir.Table, influence: Influence | None) -> ir.Table:
    """Put all parts of every customer side by side, with their sum.

    Parameters
    ----------
    own : ibis Table
        ``customer_id``, ``first``, and historic, current, potential, the latter two with _low and _high (money).
    influence : Influence or None
        None where no referrals are on record.

    Returns
    -------
    ibis Table
        `own` with credit and coming (each with _low and _high), received, and value with value_low and value_high.
    """
    ends = ("", "_low", "_high")
    names = [*(f"{part}{end}" for part in ("credit", "coming") for end in ends), "received"]
    if influence is None:
        table = own.mutate(**dict.fromkeys([*names, "brought"], ibis.literal(0.0)))
    else:
        table = own.left_join(ibis.memtable(influence.members), "customer_id", rname="{name}_m")
        day = (table["first"].epoch_seconds() / 86_400).floor().cast("int64")
        table = table.mutate(joined=day, brought=table.brought.fill_null(0))
        coming = influence.coming.rename(columns={"referred": "brought"}).drop(columns="expected")
        table = table.left_join(ibis.memtable(coming), ["joined", "brought"], rname="{name}_c")
        table = table.mutate(**{name: table[name].fill_null(0.0) for name in names})
    reach = {"": lambda part: table[part]}
    reach["_low"] = lambda part: ibis.least(table[f"{part}_low"], table[part])
    reach["_high"] = lambda part: ibis.greatest(table[f"{part}_high"], table[part])
    sums = {f"value{end}": sum((of(part) for part in PARTS[1:]), table["historic"]) for end, of in reach.items()}
    table = table.mutate(**sums)
    return table.select(*own.columns, "brought", *names, *sums)


def sum_parts(
    historic: float,
    current: Array,
    potential: Array,
    influence: Influence | None,
    means: dict[str, float],
    interval: float,
) -> pd.DataFrame:
    """Parts of all customers, with intervals from draws that belong together.

    Parameters
    ----------
    historic : float
        Known to the cent.
    current, potential : array, shape (draws,)
        Draws of the totals, one draw in one place.
    influence : Influence or None
        Referrals.
    means : dict of str to float
        Expected current, potential and coming of all customers, as the sums over customers.
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        part (historic, current, potential, coming, total), mean, low, high (money); and ``credited``, which is within
        historic and current and no part of the total.
    """
    coming = np.zeros(len(current)) if influence is None else influence.drawn_coming
    known = {"historic": np.full(len(current), historic), "current": current, "potential": potential, "coming": coming}
    means = {"historic": historic} | means
    rows = [_row(name, means[name], draws, interval) for name, draws in known.items()]
    rows.append(_row("total", sum(means[name] for name in known), np.sum(list(known.values()), axis=0), interval))
    if influence is not None:
        rows.append(_row("credited", influence.received, influence.drawn_received, interval))
        both = influence.drawn_received + coming
        rows.append(_row("influence", influence.received + means["coming"], both, interval))
    return pd.DataFrame(rows)


def _row(part: str, mean: float, draws: Array, interval: float) -> dict[str, object]:
    low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
    return {"part": part, "mean": mean, "low": min(float(low), mean), "high": max(float(high), mean)}
