"""What the customers of a referral tree will bring, drawn together: from the posterior that valued each of them.

They came the same way and are few, so that what is not known of the unit's parameters moves all of them at once, and a
few who stay or leave move the sum. Both are in draws of the sum, one simulated future of every customer in each.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv.live import Live
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.value import count_draws, predict_patterns

Array = npt.NDArray[np.float64]

_MEANS = 100  # draws over which the means are taken that discount the purchases


def draw_ahead(live: Live, rows: pd.DataFrame, draws: int, seed: int = 1) -> Array:
    """Draw the weighted sum of what buyers bring over the horizon.

    Parameters
    ----------
    live : Live
        The unit's saved posterior.
    rows : DataFrame
        ``pattern``, ``frequency``, ``recency``, ``T`` (calendar days), ``monetary_value`` (money), ``customers`` and
        ``weight`` (how often a euro of each of them counts).
    draws, seed : int
        Of the outcomes; where buyers are very many, fewer are simulated and repeated.

    Returns
    -------
    array, shape (draws,)
        Money: discounted margin after costs.
    """
    if rows.empty:
        return np.zeros(draws)
    patterns = {str(name): live.purchases[str(name)] for name in rows["pattern"].unique()}
    outlook = live.outlook(min(patterns, key=lambda name: len(patterns[name])), live.days())
    chosen = np.resize(np.arange(len(outlook)), min(draws, count_draws(int(rows["customers"].sum()))))
    purchases = {
        name: PurchaseDraws(one.family, tuple(values[chosen] for values in one.values))
        for name, one in patterns.items()
    }
    spend = SpendDraws(*(values[chosen] for values in (live.spend.p, live.spend.q, live.spend.gamma)))
    ahead, total = outlook.ahead.take(chosen), np.zeros(len(chosen))
    for place, (weight, mine) in enumerate(rows.groupby("weight", sort=True)):
        counted = live.calendar.convert(mine)
        found = predict_patterns(counted, purchases, spend, live.terms, ahead, seed=seed + place, mean_draws=_MEANS)
        total += float(weight) * found.value
    return np.resize(total, draws)
