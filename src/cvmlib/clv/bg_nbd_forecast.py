"""What customers of a fitted BG/NBD or MBG/NBD do next: the case of one stage (k = 1) of `bg_cnbd_forecast`."""

import numpy as np
import numpy.typing as npt

from cvmlib.clv import bg_cnbd_forecast

Array = npt.NDArray[np.float64]


def forecast(
    edges: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    *,
    modified: bool = False,
) -> tuple[Array, Array]:
    """Return expected purchases in each window and the probability of being alive at each edge, given the counts.

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Times after T, rising, the first 0.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the unit of `edges`.
    r, alpha, a, b : array, shape (draws,)
        Parameters.
    modified : bool
        The MBG/NBD.

    Returns
    -------
    purchases : array, shape (windows, draws, rows)
    alive : array, shape (windows + 1, draws, rows)
        The first edge is T.
    """
    once = np.ones(len(edges), dtype=np.int64)
    return bg_cnbd_forecast.forecast(edges, frequency, recency, T, r, alpha, a, b, once, modified=modified)


def simulate_future(
    horizon: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    rng: np.random.Generator,
    *,
    modified: bool = False,
) -> npt.NDArray[np.int64]:
    """Draw purchases of each customer in the next `horizon`, given his counts: exact, one for each parameter draw.

    Parameters
    ----------
    horizon : array, shape (draws,)
        Length of the window after T.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the unit of `horizon`.
    r, alpha, a, b : array, shape (draws,)
        Parameters.
    rng : numpy Generator
        Source of randomness.
    modified : bool
        The MBG/NBD.

    Returns
    -------
    int array, shape (draws, rows)
    """
    once = np.ones(len(horizon), dtype=np.int64)
    return bg_cnbd_forecast.simulate_future(
        horizon, frequency, recency, T, r, alpha, a, b, once, rng, modified=modified
    )
