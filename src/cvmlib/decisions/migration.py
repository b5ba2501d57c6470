"""Migration between value tiers: what customers brought in the last year against the year before."""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.stats import beta

from cvmlib.decisions.tiers import Tiers


def count_moves(cash: ir.Table, tiers: Tiers, end: date) -> pd.DataFrame:
    """Count customers by the tier of what they brought in the year before the last, and in the last.

    Parameters
    ----------
    cash : ibis Table
        From `cvmlib.decisions.cash`.
    tiers : Tiers
        Criteria on the margin a year.
    end : date
        End of observation.

    Returns
    -------
    DataFrame
        before, after (tier), customers, change (mean margin of the last year less that of the year before, money); of
        customers whose first purchase lies more than a year back. No rows with less than two years of history.
    """
    cuts = [pd.Timestamp(end) + pd.Timedelta(days=1) - pd.DateOffset(years=years) for years in (0, 1, 2)]
    until, split, start = (ibis.literal(cut, type="timestamp") for cut in cuts)
    day = cash.day.cast("timestamp")
    each = cash.group_by("customer_id").agg(
        first=day.min(),
        earlier=cash.margin.sum(where=(day >= start) & (day < split)).fill_null(0.0),
        later=cash.margin.sum(where=(day >= split) & (day < until)).fill_null(0.0),
    )
    each = each.filter(each["first"] < start)
    bins = {name: _bin(each[column], tiers) for name, column in (("before", "earlier"), ("after", "later"))}
    each = each.mutate(**bins)
    counted = each.group_by("before", "after").agg(customers=each.count(), change=(each.later - each.earlier).mean())
    frame, names = counted.execute(), np.array(tiers.names, dtype=object)
    places = tiers.of_bins()
    frame = frame.assign(**{side: [places[place] for place in frame[side]] for side in ("before", "after")})
    frame["sum"] = frame["customers"] * frame["change"]
    frame = frame.groupby(["before", "after"], as_index=False)[["customers", "sum"]].sum()
    frame["change"] = frame.pop("sum") / frame["customers"]
    return frame.assign(before=names[frame["before"]], after=names[frame["after"]])


def _bin(column: ir.NumericValue, tiers: Tiers) -> ir.IntegerValue:
    found = ibis.literal(0, type="int64")
    for cut in tiers.cuts:
        found = found + (column >= float(cut)).cast("int64")
    return found


def estimate_moves(moves: pd.DataFrame, tiers: Tiers, interval: float = 0.9) -> pd.DataFrame:
    """Share of each tier's customers who moved to each tier, with intervals (Dirichlet with one half for each tier).

    Returns
    -------
    DataFrame
        before, after, customers, share, low, high, in the order of the tiers; only tiers somebody was in.
    """
    rows, tails = [], [(1 - interval) / 2, (1 + interval) / 2]
    counts = moves.set_index(["before", "after"])["customers"]
    for before in tiers.names:
        here = np.array([float(counts.get((before, after), 0)) for after in tiers.names])
        if not here.sum():
            continue
        prior = here + 0.5
        ends = beta.ppf(np.array(tails)[:, None], prior, prior.sum() - prior)
        shares = zip(tiers.names, here, prior / prior.sum(), *ends, strict=True)
        rows += [(before, after, int(n), share, low, high) for after, n, share, low, high in shares]
    return pd.DataFrame(rows, columns=["before", "after", "customers", "share", "low", "high"])
