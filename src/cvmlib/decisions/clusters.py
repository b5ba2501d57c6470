"""Behavioural clusters: customers who act alike, found by k-means on counted behaviour and named by what they do.

Behaviour is put into bins of about a quarter of a natural logarithm and counted in the engine; k-means (SciPy) sees a
sample of the bins in proportion to their customers, and every bin gets its nearest centre, which is joined back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.vq import kmeans2

Array = npt.NDArray[np.float64]

STEP = 0.25
SAMPLE = 20_000
MOST = 6

WORDS: Mapping[str, tuple[str, str]] = {
    "purchases": ("buys often", "buys rarely"),
    "silence": ("long silent", "bought lately"),
    "spend": ("large baskets", "small baskets"),
    "categories": ("many categories", "few categories"),
    "months": ("long with us", "newly joined"),
    "price": ("high price", "low price"),
    "leaving": ("likely to leave", "likely to stay"),
}
"""Words for much and little of each feature."""


@dataclass(frozen=True)
class Clusters:
    """What was found.

    Parameters
    ----------
    bins : DataFrame
        One row per bin: the features' bins, customers, cluster (name).
    table : DataFrame
        cluster, customers, share, and the mean of each feature in its own unit.
    """

    bins: pd.DataFrame
    table: pd.DataFrame


def bin_features(customers: ir.Table, features: Mapping[str, ir.NumericValue]) -> ir.Table:
    """Add of each feature (zero or more) the logarithm of one plus it, and its bin, in steps of `STEP`.

    Parameters
    ----------
    customers : ibis Table
        One row per customer.
    features : mapping of str to ibis value
        Features by name (of `WORDS`).
    """
    logs = {name: (ibis.greatest(value.cast("float64"), 0.0) + 1.0).ln() for name, value in features.items()}
    bins = {f"{name}_bin": (log / STEP).round().cast("int64") for name, log in logs.items()}
    return customers.mutate(**bins, **{f"{name}_log": log for name, log in logs.items()})


def find_clusters(binned: ir.Table, features: list[str], seed: int = 1) -> Clusters:
    """Count the bins, find clusters among them, and name these.

    The number of clusters, 2 to `MOST`, is where customers are nearest to their own centre compared with the next one:
    the largest mean simplified silhouette (Hruschka, de Castro and Campello 2004).

    Parameters
    ----------
    binned : ibis Table
        From `bin_features`.
    features : list of str
        Their names.
    seed : int
        Of the sample and of the first centres.
    """
    keys = [f"{name}_bin" for name in features]
    means = {name: binned[f"{name}_log"].mean() for name in features}
    bins = binned.group_by(keys).agg(customers=binned.count(), **means).order_by(keys).execute()
    size, raw = bins["customers"].to_numpy(dtype=float), bins[features].to_numpy(dtype=float)
    center = np.average(raw, axis=0, weights=size)
    spread = np.sqrt(np.average((raw - center) ** 2, axis=0, weights=size))
    points = (raw - center) / np.where(spread > 0, spread, 1.0)
    rng = np.random.default_rng(seed)
    sample = points[rng.choice(len(points), min(SAMPLE, int(size.sum())), p=size / size.sum())]
    distinct = len(np.unique(sample, axis=0))
    best, label = -np.inf, np.zeros(len(points), dtype=np.int64)
    for number in range(2, min(MOST, distinct - 1) + 1):
        centers, _ = kmeans2(sample, number, minit="++", seed=np.random.default_rng(seed), missing="warn")
        away = np.sqrt(((points[:, None, :] - centers) ** 2).sum(axis=2))
        mine, (own, other) = away.argmin(axis=1), np.sort(away, axis=1)[:, :2].T
        score = float(np.average(1 - own / np.maximum(other, 1e-12), weights=size))
        if score > best:
            best, label = score, mine
    return _describe(bins, features, points, raw, size, label)


def _describe(
    bins: pd.DataFrame, features: list[str], points: Array, raw: Array, size: Array, label: npt.NDArray[np.int64]
) -> Clusters:
    rows, names = [], {}
    for one in np.unique(label):
        here = label == one
        middle = np.average(points[here], axis=0, weights=size[here])
        names[one] = _name(features, middle, set(names.values()))
        means = np.average(np.expm1(raw[here]), axis=0, weights=size[here])
        number = int(size[here].sum())
        rows.append(
            {"cluster": names[one], "customers": number, "share": number / size.sum()}
            | dict(zip(features, means, strict=True))
        )
    table = pd.DataFrame(rows).sort_values(["customers", "cluster"], ascending=[False, True], ignore_index=True)
    return Clusters(bins.assign(cluster=[names[one] for one in label]), table)


def _name(features: list[str], middle: Array, taken: set[str]) -> str:
    """Say the two features in which a cluster differs most from the average customer; more where that is taken."""
    order = np.argsort(-np.abs(middle), kind="stable")
    words = [WORDS[features[place]][0 if middle[place] > 0 else 1] for place in order]
    for number in range(min(2, len(words)), len(words) + 1):
        name = ", ".join(words[:number])
        if name not in taken:
            return name
    return f"{name} ({len(taken) + 1})"
