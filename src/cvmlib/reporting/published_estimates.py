"""What this library finds where papers printed their estimates and forecasts: CDNOW, donations, two retention curves.

Maximum likelihood, as in the papers: the modes of the same likelihoods that the fits of the reports use.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.churn import bdw
from cvmlib.clv import gamma_gamma
from cvmlib.clv.counts import count_customers, count_purchases, holdout_split
from cvmlib.clv.families import bg_bb, bg_bb_forecast, bg_nbd, nbd, pareto_nbd
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.cleaning import clean_transactions
from cvmlib.tables.files import find_fault
from cvmlib.tables.sources import file_of, mapped_table

type Array = npt.NDArray[np.float64]
#: Value by section, table and figure, as `published_tables.read_published` names them.
type Found = dict[tuple[str, str, str], float]

WEEK, HALF = 7.0, 39.0  # days; weeks of the calibration and of the holdout
FIRST_CUSTOMER = (2, 30.43, 38.86)  # frequency, recency, T of CDNOW's customer 1, as printed
DONATIONS = ["frequency", "recency", "periods", "weights"]
#: Percent of the subscribers still there after 0, 1, 2, … years (Fader and Hardie 2007, table 1).
SURVIVAL = {
    "Regular": (100.0, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1),
    "High End": (100.0, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1),
}


def estimate_all(portfolio: Portfolio, donations: str) -> Found:
    """Return everything that is compared with print.

    Parameters
    ----------
    portfolio : Portfolio
        A portfolio whose only unit is the CDNOW sample, with its holdout, such as ``examples/cdnow.toml``.
    donations : str
        File of the donors' counts: a path, from the folder of the CDNOW log on.

    Raises
    ------
    DataError
        A file is not there or not what it should be.
    """
    customers = count_sample(portfolio)
    log = file_of(portfolio, next(iter(portfolio.units)), "transactions")
    rows = read_donations(log.parent / donations if log else Path(donations))
    return estimate_cdnow(customers) | estimate_donations(rows) | estimate_retention()


def count_sample(portfolio: Portfolio) -> pd.DataFrame:
    """Count the customers of the only unit at the end of its calibration, with the holdout; ages in weeks."""
    unit, end = next(iter(portfolio.units)), portfolio.end_of_observation
    log = clean_transactions(mapped_table(portfolio, unit, "transactions"), end, deduplicate=False)
    split = holdout_split(end, portfolio.holdout_months)
    customers = count_customers(count_purchases(log), split, holdout_end=end).to_pandas()
    return customers.assign(recency=customers["recency"] / WEEK, T=customers["T"] / WEEK)


def estimate_cdnow(customers: pd.DataFrame) -> Found:
    """Fit every model to the CDNOW sample, and forecast its weeks 40 to 78.

    Parameters
    ----------
    customers : DataFrame
        Result of `count_sample`.
    """
    x, t_x, age = (customers[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    actual = customers["holdout_frequency"].to_numpy(dtype=float)
    bg, pareto = bg_nbd.fit_maximum_likelihood(x, t_x, age), pareto_nbd.fit_maximum_likelihood(x, t_x, age)
    fits = {
        "BG/NBD": bg,
        "Pareto/NBD": pareto,
        "MBG/NBD": bg_nbd.fit_maximum_likelihood(x, t_x, age, modified=True),
        "NBD": nbd.fit_maximum_likelihood(x, t_x, age),
        "Gamma-Gamma": gamma_gamma.fit_maximum_likelihood(x, customers["monetary_value"]),
    }
    counts = {
        "customers": len(customers),
        "repeat purchases in weeks 1 to 39": x.sum(),
        "repeat purchases in weeks 40 to 78": actual.sum(),
    }
    found = _name("cdnow", "Counts of the sample", counts)
    for model, fit in fits.items():
        found |= _name("cdnow", model, fit.parameters | {"log-likelihood": fit.log_likelihood})
    purchases = {"BG/NBD": (bg_nbd, *bg.parameters.values()), "Pareto/NBD": (pareto_nbd, *pareto.parameters.values())}
    return found | _forecast_cdnow(purchases, x, t_x, age, actual)


def _forecast_cdnow(models: Mapping[str, tuple[Any, ...]], x: Array, t_x: Array, age: Array, actual: Array) -> Found:
    """Forecast the holdout with each model, given as its module and parameters."""
    ahead, holdout, whole = {}, {}, {}
    for name, (module, *parameters) in models.items():
        ahead[name] = _expect(module, parameters, x, t_x, age)
        holdout[f"{name}, correlation with the purchases made"] = np.corrcoef(ahead[name], actual)[0, 1]
        holdout[f"{name}, purchases of a customer with none so far"] = ahead[name][x == 0].mean()
        expected = module.expected_since_start(HALF + age, *parameters).sum()
        whole[f"{name}, percent of sales too low"] = 100.0 * (1.0 - expected / (x.sum() + actual.sum()))
    holdout["correlation of the two forecasts"] = np.corrcoef(*ahead.values())[0, 1]
    module, *parameters = models["BG/NBD"]
    first = _expect(module, parameters, *(np.array([value]) for value in FIRST_CUSTOMER))
    holdout["BG/NBD, purchases of customer 1"] = first[0]
    return _name("forecast", "Weeks 40 to 78", holdout) | _name("forecast", "Weeks 1 to 78", whole)


def _expect(module: Any, parameters: list[float], x: Array, t_x: Array, age: Array) -> Array:
    """Purchases that each customer is expected to make in the holdout."""
    alive = module.probability_alive(x, t_x, age, *parameters)
    return alive * module.expected_purchases(HALF, x, age, *parameters)


def read_donations(path: Path) -> pd.DataFrame:
    """Read the donors' counts: ``frequency``, ``recency``, ``periods`` (six) and ``weights`` (donors).

    Raises
    ------
    DataError
        The file cannot be read, or a column is missing.
    """
    if fault := find_fault(path):
        raise DataError(
            f"The donations could not be read: {fault.message.rstrip('.')}. Give the file as the parameter donations: "
            "its path, from the folder of the CDNOW log on."
        )
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if missing := [name for name in DONATIONS if name not in rows]:
        raise DataError(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(map(str, rows))}. Expected is a row "
            f"for each frequency and recency of the donors, with {', '.join(DONATIONS)}."
        )
    return rows[DONATIONS]


def estimate_donations(rows: pd.DataFrame) -> Found:
    """Fit the BG/BB to the donors of 1995 and forecast what they give after 2001.

    Parameters
    ----------
    rows : DataFrame
        Result of `read_donations`: six opportunities for everybody.
    """
    x, t_x, n, weights = (rows[name].to_numpy() for name in DONATIONS)
    fit = bg_bb.fit_maximum_likelihood(x, t_x, n, weights)
    parameters = [np.array([value]) for value in fit.parameters.values()]
    purchases, alive = bg_bb_forecast.forecast(np.arange(11.0)[None], x, t_x, n, *parameters)
    donors = weights.sum() * _share_by_frequency(int(n[0]), [*fit.parameters.values()])

    def of(values: Array, frequency: int, recency: int) -> float:
        return float(values[(x == frequency) & (t_x == recency)][0])

    in_ten_years, in_2002 = purchases[:, 0].sum(axis=0), alive[1, 0]
    forecasts = {
        "donors without a donation from 1996 to 2001": donors[0],
        "donors who gave in each of the six years": donors[-1],
        "donations from 2002 to 2006": purchases[:5, 0].sum(axis=0) @ weights,
        "P(alive) in 2002, no donation": of(in_2002, 0, 0),
        "P(alive) in 2002, two donations, the last in 1999": of(in_2002, 2, 4),
        "P(alive) in 2002, six donations": of(in_2002, 6, 6),
        "donations in ten years, none so far": of(in_ten_years, 0, 0),
        "donations in ten years, four so far, the last in 2000": of(in_ten_years, 4, 5),
    }
    estimates = _name("donations", "BG/BB", fit.parameters | {"log-likelihood": fit.log_likelihood})
    return estimates | _name("donations", "Forecasts", forecasts)


def _share_by_frequency(n: int, parameters: list[float]) -> Array:
    """Share of the donors expected to give 0, 1, …, n times: over all orders of the opportunities taken."""
    cells = [(0, 0), *((x, last) for last in range(1, n + 1) for x in range(1, last + 1))]
    x, last = np.array(cells).T
    orders = np.where(x > 0, special.comb(last - 1, x - 1), 1.0)
    return np.bincount(x, orders * np.exp(bg_bb.log_likelihood(x, last, n, *parameters)))


def estimate_retention() -> Found:
    """Fit the sBG to eight years of both curves of `SURVIVAL`, and the BdW to the first five of one."""
    found: Found = {}
    for name, percent in SURVIVAL.items():
        curve = bdw.fit_curve(10.0 * np.array(percent), c=1.0)
        found |= _name("retention", f"sBG, {name}", {"a": curve.a, "b": curve.b})
    curve = bdw.fit_curve(10.0 * np.array(SURVIVAL["High End"][:5]))
    return found | _name("retention", "BdW, High End", {"a": curve.a, "b": curve.b, "c": curve.c})


def _name(section: str, table: str, values: Mapping[str, float]) -> Found:
    return {(section, table, figure): float(value) for figure, value in values.items()}
