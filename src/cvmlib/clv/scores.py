"""How good forecasts of the holdout were, by proper scores and by calibration, over weighted count rows.

`score_rows` reduces simulated purchases, shape (draws, rows), to one line per row, so that a large base is scored in
chunks of rows; the other functions weigh those lines by the customers of each row. Sources: Czado, Gneiting and Held
2009 (*Biometrics* 65, PIT of counts); Gneiting and Raftery 2007 (*JASA* 102, CRPS and interval score); Ferro 2014
(*QJRMS* 140, the fair CRPS of a sample).
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Array = npt.NDArray[np.float64]
LEVELS = (0.5, 0.8, 0.9)


@dataclass(frozen=True)
class Scores:
    """Holdout scores of one unit under one model; what is per customer is averaged over the customers.

    Parameters
    ----------
    customers, actual, mean : float
        Customers, their purchases, and the purchases forecast.
    bias : float
        Forecast over actual total, less one.
    mae : float
        Mean absolute error of single customers' forecast medians, the point forecasts that it asks for (Gneiting 2011).
    rmse, correlation : float
        Of their forecast means.
    log_score, crps : float
        Mean log predictive probability (higher is better) and mean CRPS in purchases (lower is better).
    pit_distance : float
        Largest gap between the cumulative PIT and the uniform one; 0 is perfect.
    """

    customers: float
    actual: float
    mean: float
    bias: float
    mae: float
    rmse: float
    correlation: float
    log_score: float
    crps: float
    pit_distance: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures as a plain dictionary."""
        return asdict(self)


def score_rows(
    samples: npt.NDArray[np.int64], actual: npt.ArrayLike, *, mean: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """Reduce simulated purchases of each row's customer to what the scores need.

    Parameters
    ----------
    samples : int array, shape (draws, rows)
        Purchases in the holdout, one simulation per posterior draw (with the noise of a single customer).
    actual : array, shape (rows,)
        Purchases that happened.
    mean : array, shape (rows,), optional
        Exact expectations; by default the means of the samples.

    Returns
    -------
    DataFrame
        ``actual``, ``mean``, ``median``, ``below`` and ``upto`` (the ends of the PIT: ranks among the samples, so that
        a perfect forecast is uniform between them however few the draws are), ``log_score``, ``crps``, ``again``
        (probability of a purchase), and for each of `LEVELS` ``low_50``, ``high_50``, ``promised_50`` … (the central
        interval and the probability that the forecast gave it, which for counts exceeds the nominal one).
    """
    y = np.asarray(actual, dtype=float)
    draws = len(samples)
    ordered = np.sort(np.asarray(samples), axis=0)
    less, equal = (ordered < y).sum(axis=0), (ordered == y).sum(axis=0)
    center = ordered.mean(axis=0) if mean is None else np.asarray(mean, dtype=float)
    rows = {
        "actual": y,
        "mean": center,
        "median": np.median(ordered, axis=0),
        "below": less / (draws + 1.0),
        "upto": (less + equal + 1.0) / (draws + 1.0),
        "log_score": _smoothed_log_probability(y, equal, draws, ordered.mean(axis=0)),
        "crps": fair_crps(ordered, y),
        "again": (ordered > 0).mean(axis=0),
    }
    for level in LEVELS:
        low, high = np.quantile(ordered, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
        name = f"{level:.0%}"[:-1]
        promised = ((ordered >= low) & (ordered <= high)).mean(axis=0)
        rows |= {f"low_{name}": low, f"high_{name}": high, f"promised_{name}": promised}
    return pd.DataFrame(rows)


def _smoothed_log_probability(y: Array, equal: Array, draws: int, mean: Array) -> Array:
    """Log of the share of samples that equal y, with one more sample spread as a geometric distribution.

    The geometric distribution (of the samples' mean, and at least 1 / draws) keeps the probability of a count that was
    never simulated off zero. Where a count has probability p, the score is biased by about ``-(1 - p) / (2 draws p)``,
    which is on average half the number of plausible counts over the draws.
    """
    odds = np.maximum(mean, 1.0 / draws)
    log_geometric = y * (np.log(odds) - np.log1p(odds)) - np.log1p(odds)
    return np.log((equal + np.exp(log_geometric)) / (draws + 1.0))


def fair_crps(samples: npt.NDArray, actual: Array) -> Array:
    """CRPS of each row from samples, shape (draws, rows), sorted or not: unbiased for that of the forecast itself."""
    ordered = np.sort(samples, axis=0).astype(float)
    draws = len(ordered)
    place = 2.0 * np.arange(1, draws + 1) - draws - 1.0
    spread = place @ ordered / (draws * (draws - 1.0))  # half the mean distance of two different samples
    return np.abs(ordered - actual).mean(axis=0) - spread


def interval_score(actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, level: float) -> Array:
    """Score central intervals (Gneiting and Raftery 2007, equation 43): width plus penalty for what is missed.

    Parameters
    ----------
    actual, low, high : array
        Outcomes and interval ends, in any unit; the score is in the same, and lower is better.
    level : float
        Probability of the intervals.
    """
    y, low, high = (np.asarray(v, dtype=float) for v in (actual, low, high))
    missed = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return high - low + 2.0 / (1.0 - level) * missed


def summarise_scores(rows: pd.DataFrame, customers: npt.ArrayLike) -> Scores:
    """Weigh the rows of `score_rows` by their customers.

    Parameters
    ----------
    rows : DataFrame
        Result of `score_rows`.
    customers : array, shape (rows,)
        Customers of each row, all with the row's actual purchases.
    """
    n = np.asarray(customers, dtype=float)
    y, mean = rows["actual"].to_numpy(), rows["mean"].to_numpy()
    total, forecast = float(n @ y), float(n @ mean)
    return Scores(
        customers=float(n.sum()),
        actual=total,
        mean=forecast,
        bias=forecast / total - 1.0 if total else float("nan"),
        mae=float(np.average(np.abs(y - rows["median"].to_numpy()), weights=n)),
        rmse=float(np.sqrt(np.average((y - mean) ** 2, weights=n))),
        correlation=_correlation(y, mean, n),
        log_score=float(np.average(rows["log_score"], weights=n)),
        crps=float(np.average(rows["crps"], weights=n)),
        pit_distance=float(np.abs(tabulate_pit(rows, n, bins=50)["share"].cumsum() - np.arange(1, 51) / 50).max()),
    )


def tabulate_pit(rows: pd.DataFrame, customers: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Histogram of the probability integral transform of all customers, uniform under a perfect forecast.

    The PIT of a count is spread evenly between its ends instead of being drawn there, which leaves out that noise
    (Czado, Gneiting and Held 2009, equation 2).

    Returns
    -------
    DataFrame
        ``low`` and ``high`` (of the bin), ``share`` of the customers, ``expected`` share, and ``standard_error`` of the
        share under a perfect forecast, at most (customers independent).
    """
    n = np.asarray(customers, dtype=float)
    edges = np.linspace(0.0, 1.0, bins + 1)
    low, width = rows["below"].to_numpy(), (rows["upto"] - rows["below"]).to_numpy()
    cumulative = np.array([n @ np.clip((edge - low) / width, 0.0, 1.0) for edge in edges]) / n.sum()
    share = 1.0 / bins
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "share": np.diff(cumulative),
            "expected": share,
            "standard_error": np.sqrt(share * (1.0 - share) / n.sum()),
        }
    )


def tabulate_coverage(rows: pd.DataFrame, customers: npt.ArrayLike) -> pd.DataFrame:
    """Coverage of central intervals of single customers.

    Returns
    -------
    DataFrame
        ``level``; ``covered``, the share of customers inside; ``promised``, the probability that the forecast gave the
        intervals: counts come in steps, so that no interval has exactly its level; ``randomised``, the share of
        randomised PIT values within the central `level`, which a perfect forecast has exactly; and the
        ``standard_error`` of the latter (customers independent).
    """
    n = np.asarray(customers, dtype=float)
    y, low, width = rows["actual"], rows["below"], rows["upto"] - rows["below"]
    table = []
    for level in LEVELS:
        name = f"{level:.0%}"[:-1]
        inside = (y >= rows[f"low_{name}"]) & (y <= rows[f"high_{name}"])
        start, stop = (1 - level) / 2, (1 + level) / 2
        overlap = ((stop - low) / width).clip(0, 1) - ((start - low) / width).clip(0, 1)
        table.append(
            {
                "level": level,
                "covered": float(np.average(inside, weights=n)),
                "promised": float(np.average(rows[f"promised_{name}"], weights=n)),
                "randomised": float(np.average(overlap, weights=n)),
                "standard_error": float(np.sqrt(level * (1 - level) / n.sum())),
            }
        )
    return pd.DataFrame(table)


def tabulate_again(
    probability: npt.ArrayLike, bought: npt.ArrayLike, customers: npt.ArrayLike, groups: int = 10
) -> pd.DataFrame:
    """Compare the predicted probability of buying again with the share that did, over groups of customers.

    Whether a customer is alive is never seen; that he bought in the holdout is.

    Parameters
    ----------
    probability : array, shape (rows,)
        Predicted probability of at least one purchase in the holdout.
    bought : bool array, shape (rows,)
        Whether the row's customers bought.
    customers : array, shape (rows,)
        Customers per row.
    groups : int
        Groups of about as many customers each, in the order of the prediction; customers alike are not divided.

    Returns
    -------
    DataFrame
        ``customers``, ``predicted`` (mean probability), ``actual`` (share), ``low`` and ``high`` (its 90% Wilson
        interval).
    """
    p, n = np.asarray(probability, dtype=float), np.asarray(customers, dtype=float)
    levels, of_row = np.unique(p, return_inverse=True)
    held = np.bincount(of_row, n)
    middle = held.cumsum() - 0.5 * held
    group = np.minimum((middle / n.sum() * groups).astype(int), groups - 1)[of_row]
    sums = (
        pd.DataFrame({"n": n, "predicted": n * p, "bought": n * np.asarray(bought, dtype=float)}).groupby(group).sum()
    )
    low, high = wilson(sums["bought"].to_numpy(), sums["n"].to_numpy())
    return pd.DataFrame(
        {
            "customers": sums["n"].to_numpy(),
            "predicted": (sums["predicted"] / sums["n"]).to_numpy(),
            "actual": (sums["bought"] / sums["n"]).to_numpy(),
            "low": low,
            "high": high,
        }
    )


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.9) -> tuple[Array, Array]:
    """Wilson's interval of a share (Wilson 1927, *JASA* 22): ends of the same shape as `trials`."""
    k, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    z = stats.norm.ppf(0.5 + level / 2)
    middle = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _correlation(actual: Array, mean: Array, weights: Array) -> float:
    covariance = np.cov(actual, mean, aweights=weights, ddof=0)
    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / scale) if scale > 0 else float("nan")
