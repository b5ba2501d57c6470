"""Scores of every plan and tenure there can be: what values a subscriber between two fits, by the code of the fit."""

import numpy as np
import pandas as pd

from cvmlib.churn.forecast import Forecast, forecast_cells, score_cells
from cvmlib.churn.retention import HazardPosterior

LATER = 12
"""Months of tenure beyond the longest of today that are scored too."""


def tabulate_live(posterior: HazardPosterior, forecast: Forecast, seed: int, interval: float = 0.9) -> pd.DataFrame:
    """Score one subscription of every plan and tenure, today's and those of the next `LATER` months.

    Parameters
    ----------
    posterior : HazardPosterior
        From `cvmlib.churn.retention.fit_hazard`.
    forecast : Forecast
        Of the active subscriptions: its terms, plans and tenures.
    seed : int
        That of `forecast`; the calendar shocks are then the same, so that a plan and tenure of today has the scores
        that it has there.
    interval : float, default 0.9
        Probability of the predictive interval.

    Returns
    -------
    pandas.DataFrame
        plan, tenure, p_active, expected_months and discounted_months with _low and _high (as in
        `cvmlib.churn.forecast.score_cells`), hazard (probability to leave in the next month), and paid_1, paid_2, …:
        discounted monthly payments expected within so many months.
    """
    plans = list(dict.fromkeys([*posterior.plans, *forecast.cells["plan"]]))
    longest = int(forecast.cells["tenure"].max()) if len(forecast.cells) else 0
    tenures = np.arange(longest + LATER + 1)
    cells = pd.DataFrame({"plan": np.repeat(plans, len(tenures)), "tenure": np.tile(tenures, len(plans))})
    found = forecast_cells(posterior, cells.assign(subscriptions=1, price=0.0, price_sq=0.0), forecast.terms, seed)
    scores = score_cells(found, interval).drop(columns="subscriptions")
    survival = found.survival
    monthly = (survival[:, 1:] - found.billed * np.diff(survival, axis=1)) * found.terms.discounts
    paid = pd.DataFrame(np.cumsum(monthly, axis=1), columns=[f"paid_{m + 1}" for m in range(monthly.shape[1])])
    return pd.concat([scores.assign(hazard=1 - survival[:, 1]), paid], axis=1)
