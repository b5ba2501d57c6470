"""Order of the chain by the log score of journeys held out.

Each journey is scored by the log probability of all it did: its touches and its end. The predictive distribution after
a context mixes what was counted there with the prediction of the next shorter context, with the weight of Witten and
Bell (1991): contexts with many different successors lean on the shorter one. The journeys are dealt at random into
folds; each fold is predicted from the others.
"""

import numpy as np
import pandas as pd

from cvmlib.attribution.chain import context_codes, shifted
from cvmlib.attribution.paths import Paths

HIGHEST = 4
FOLDS = 5


def score_orders(paths: Paths, highest: int = HIGHEST, folds: int = FOLDS, seed: int = 1) -> pd.DataFrame:
    """Score the orders 0 to `highest` on held-out journeys, and choose one.

    Parameters
    ----------
    paths : Paths
        The journeys; counts are rounded to whole journeys.
    highest : int
        Highest order tried; order 0 forgets everything.
    folds : int
        Parts into which the journeys are dealt.
    seed : int
        Seed of the deal.

    Returns
    -------
    pandas.DataFrame
        order, score (mean log probability of a held-out journey, in nats), behind (how far its score is behind the best
        order's), behind_se (standard error of that, over journeys), chosen (the lowest order at most one standard error
        behind the best).
    """
    events = _list_events(paths, highest)
    counts = np.rint(np.stack([paths.conversions, paths.nulls])).astype(np.int64).ravel()  # ways to end, one by one
    dealt = _deal(counts, folds, np.random.default_rng(seed))
    total = np.zeros((highest + 1, len(counts)))
    fold_scores = []
    for held in dealt:
        scores = _score_journeys(events, counts - held, highest)
        fold_scores.append((held, scores))
        total += scores * held
    number = counts.sum()
    means = total.sum(axis=1) / number
    best = int(np.argmax(means))
    rows = []
    for order in range(highest + 1):
        squares = sum((held * (scores[order] - scores[best]) ** 2).sum() for held, scores in fold_scores)
        behind = means[best] - means[order]
        rows.append((order, means[order], behind, np.sqrt(max(squares / number - behind**2, 0.0) / number)))
    table = pd.DataFrame(rows, columns=["order", "score", "behind", "behind_se"])
    near = table["behind"] <= table["behind_se"]
    return table.assign(chosen=table.index == max(int(np.argmax(near)), 1))


def _deal(counts: np.ndarray, folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal journeys into folds, at random one by one."""
    dealt, left = [], counts.copy()
    for remaining in range(folds, 1, -1):
        dealt.append(rng.binomial(left, 1 / remaining))
        left = left - dealt[-1]
    return [*dealt, left]


class _Events:
    """What follows each context: journeys by number (first those that convert, then the others), symbols, contexts.

    `journey` and `symbol` have shape (events,): the touches of all paths as conversions, then as nulls, then the ends.
    `context[k]` and `pair[k]` number the contexts of order k, and contexts with their successor.
    """

    def __init__(self, journey: np.ndarray, symbol: np.ndarray, contexts: list[np.ndarray]) -> None:
        self.journey = journey
        self.symbols = int(symbol.max()) + 1
        self.context, self.pair, self.first = [], [], []
        for codes in contexts:
            context, _ = pd.factorize(codes)
            pair, pairs = pd.factorize(context.astype(np.int64) * self.symbols + symbol)
            self.context.append(context)
            self.pair.append(pair)
            self.first.append(pairs // self.symbols)


def _list_events(paths: Paths, highest: int) -> _Events:
    size, row = len(paths), paths.row
    last = paths.offsets[1:] - 1
    end = len(paths.channels)
    contexts = []
    for order in range(highest + 1):
        code = context_codes(paths, order) if order else np.zeros(len(row), dtype=np.int64)
        before = shifted(paths, code, 0)
        contexts.append(np.concatenate([before, before, code[last], code[last]]))
    journey = np.concatenate([row, row + size, np.arange(size), np.arange(size) + size])
    ends = np.repeat([end, end + 1], size)
    return _Events(journey, np.concatenate([paths.touches, paths.touches, ends]), contexts)


def _score_journeys(events: _Events, training: np.ndarray, highest: int) -> np.ndarray:
    """Log probability of each journey under each order, from the counts of the training journeys."""
    weight = training[events.journey].astype(float)
    p = np.full(len(weight), 1.0 / events.symbols)
    scores = np.empty((highest + 1, len(training)))
    for order in range(highest + 1):
        seen = np.bincount(events.pair[order], weight)
        contexts = int(events.context[order].max()) + 1
        visits = np.bincount(events.context[order], weight, contexts)
        kinds = np.bincount(events.first[order][seen > 0], minlength=contexts).astype(float)
        kinds[visits == 0] = 1.0  # never seen: the shorter context decides
        at = events.context[order]
        p = (seen[events.pair[order]] + kinds[at] * p) / (visits[at] + kinds[at])
        scores[order] = np.bincount(events.journey, np.log(p), len(training))
    return scores
