"""The lifecycle map: which channels move customers from stage to stage, and where journeys stall.

A touch moves its customer on when the next one serves a later stage, or when the journey converts after it; it is the
last step of a journey that stalled when nothing follows. What follows a touch is a count; that the touch brought it
about is not said.
"""

import numpy as np
import pandas as pd
from scipy import stats

from cvmlib.attribution.paths import Paths
from cvmlib.attribution.stages import STAGES

OUTCOMES = ("bought", "forward", "same", "back", "stalled")


def count_moves(by_kind: Paths, kinds: pd.DataFrame) -> pd.DataFrame:
    """Count what follows the touches of each channel at each stage.

    Parameters
    ----------
    by_kind : Paths
        Journeys by kind of touch.
    kinds : pandas.DataFrame
        One row per kind, in its order: name, stage, purpose.

    Returns
    -------
    pandas.DataFrame
        stage, channel, purpose, and the touches after which the customer bought, went forward (to a later stage),
        stayed at the same stage, went back, or stalled (nothing followed); touches in all. Touches without a stage are
        left out, and pass for no step of the journey.
    """
    rank = kinds["stage"].map({name: i for i, name in enumerate(STAGES)}).fillna(-1).to_numpy(int)
    placed = rank[by_kind.touches] >= 0
    touch, row = by_kind.touches[placed], by_kind.row[placed]
    stage = rank[touch]
    last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
    step = np.append(stage[1:], 0) - stage
    journeys = (by_kind.conversions + by_kind.nulls)[row]
    columns = {
        "bought": np.where(last, by_kind.conversions[row], 0.0),
        "forward": np.where(~last & (step > 0), journeys, 0.0),
        "same": np.where(~last & (step == 0), journeys, 0.0),
        "back": np.where(~last & (step < 0), journeys, 0.0),
        "stalled": np.where(last, by_kind.nulls[row], 0.0),
    }
    labels = {"stage": stage, "channel": kinds["name"].to_numpy()[touch], "purpose": kinds["purpose"].to_numpy()[touch]}
    counted = pd.DataFrame(labels | columns).groupby(["stage", "channel", "purpose"], as_index=False).sum()
    counted["stage"] = [STAGES[number] for number in counted["stage"]]
    return counted.assign(touches=counted[list(OUTCOMES)].sum(axis=1))


def rate_movers(moves: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """How often each channel's touches at a stage are followed by a step on.

    Parameters
    ----------
    moves : pandas.DataFrame
        From `count_moves`.
    interval : float
        Probability of the intervals (of a beta posterior under Jeffreys' prior).

    Returns
    -------
    pandas.DataFrame
        stage, channel, touches, moved (share followed by a later stage or a purchase), low, high, stalled (share after
        which nothing followed), usual (share moved of all touches of the stage), sorted by stage and share.
    """
    by = moves.groupby(["stage", "channel"], as_index=False)[[*OUTCOMES, "touches"]].sum()
    on, rest = by["bought"] + by["forward"], by["touches"] - by["bought"] - by["forward"]
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    low, high = (stats.beta.ppf(p, on + 0.5, rest + 0.5) for p in tails)
    whole = by.assign(on=on).groupby("stage")[["on", "touches"]].sum()
    usual = (whole["on"] / whole["touches"]).rename("usual")
    table = by[["stage", "channel", "touches"]].assign(
        moved=on / by["touches"], low=low, high=high, stalled=by["stalled"] / by["touches"]
    )
    table = table.merge(usual, left_on="stage", right_index=True)
    order = table["stage"].map(STAGES.index)
    return (
        table.assign(order=order)
        .sort_values(["order", "moved"], ascending=[True, False], ignore_index=True)
        .drop(columns="order")
    )


def count_stages(by_kind: Paths, kinds: pd.DataFrame) -> pd.DataFrame:
    """How many journeys reach each stage, and how they end there.

    Returns
    -------
    pandas.DataFrame
        stage, reached (journeys with a touch at the stage), converted (of those), ended (journeys without a conversion
        whose last placed touch was at the stage), share_ended (of the journeys without a conversion).
    """
    rank = kinds["stage"].map({name: i for i, name in enumerate(STAGES)}).fillna(-1).to_numpy(int)
    stage = rank[by_kind.touches]
    reached = np.zeros((len(by_kind), len(STAGES)), dtype=bool)
    reached[by_kind.row[stage >= 0], stage[stage >= 0]] = True
    placed = np.flatnonzero(stage >= 0)
    final = np.full(len(by_kind), -1)
    final[by_kind.row[placed]] = stage[placed]
    ended = np.bincount(final[final >= 0], by_kind.nulls[final >= 0], len(STAGES))
    columns = {
        "stage": STAGES,
        "reached": (by_kind.conversions + by_kind.nulls) @ reached,
        "converted": by_kind.conversions @ reached,
        "ended": ended,
        "share_ended": ended / max(ended.sum(), 1e-12),
    }
    return pd.DataFrame(columns)
