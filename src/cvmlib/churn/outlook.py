"""What a fitted retention model says: effects of covariates, its parameters, its fit to the data, and who will stay."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.churn import exposure
from cvmlib.churn.lifetimes import Lifetimes
from cvmlib.churn.retention_model import RetentionFit, parameter_names
from cvmlib.inference import thin

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALL_UNITS = "all units"
_CELLS = 4_000_000  # numbers held at once
_REPEAT_SEED = 36  # every table of a fit has the same draws


def take_draws(fit: RetentionFit, draws: int) -> dict[str, Array]:
    """Take draws of the parameters: shape (draws, units) or (draws, units, contrasts or curves).

    With them comes repeat, uniform: the share of their multiplier that renewals not reached yet will have.
    """
    posterior = fit.trace["posterior"]
    names = [*parameter_names(fit.name, fit.data), *(key for key in ("effect", "drift", "smooth") if key in posterior)]
    values = {name: thin(posterior[name], draws) for name in names}
    return values | {"repeat": np.random.default_rng(_REPEAT_SEED).random(values["log_risk"].shape)}


def risks_of(fit: RetentionFit, values: Mapping[str, Array], blocks: Integers, ahead: int = 0) -> Array:
    """Growth of the cumulative risk of leaving by month of tenure: shape (draws, blocks, months + ahead).

    Parameters
    ----------
    fit : RetentionFit
        The fitted model.
    values : mapping of str to array
        From `take_draws`.
    blocks : int array, shape (blocks,)
        Rows of ``fit.data.blocks``.
    ahead : int
        Months beyond the observed ones.
    """
    data = fit.data
    tenures = np.arange(data.tenures[0], data.tenures[-1] + 1 + ahead)
    patterns = (data.indicators() @ data.contrasts()[0])[blocks]
    unit = data.unit_of_block[blocks]
    return exposure.risk_increments(fit.name, values, tenures, len(data.tenures), data.renewal, unit, patterns)


def tabulate_effects(fit: RetentionFit, interval: float = 0.9, draws: int = 1000) -> pd.DataFrame:
    """Effects of the covariates on the propensity to leave.

    Returns
    -------
    pandas.DataFrame
        unit ("all units" for what they have in common, where there are several), covariate, level, subscriptions, ratio
        with _low and _high: how many times as prone to leave a subscriber of this level is as the average (geometric)
        of the levels, all else equal. Where effects drift with tenure (hazard), in a typical month of leaving.
    """
    data, posterior = fit.data, fit.trace["posterior"]
    if not data.levels:
        return pd.DataFrame(columns=["unit", "covariate", "level", "subscriptions", "ratio", "ratio_low", "ratio_high"])
    matrix, _ = data.contrasts()
    values = take_draws(fit, draws)
    factor = np.ones_like(values["log_risk"])
    if fit.name != "hazard":
        factor = exposure.attenuation(values["log_risk"], values["log_shape"])
    parts = []
    if "effect_pool" in posterior:
        common = thin(posterior["effect_pool"], draws) @ matrix.T / factor.mean(axis=1)[:, None]
        parts.append(_effect_rows(ALL_UNITS, data, common, interval))
    for place, unit in enumerate(data.units):
        effects = values["effect"][:, place] @ matrix.T / factor[:, place, None]
        parts.append(_effect_rows(unit, data, effects, interval))
    table = pd.concat(parts, ignore_index=True)
    return table[table["subscriptions"] > 0].reset_index(drop=True)


def _effect_rows(unit: str, data: Lifetimes, effects: Array, interval: float) -> pd.DataFrame:
    own = data.rows if unit == ALL_UNITS else data.customers(unit)
    number = np.bincount(own["block"], own["subscriptions"], len(data.blocks)) @ data.indicators()
    frame = pd.DataFrame(data.levels, columns=["covariate", "level"])
    frame.insert(0, "unit", unit)
    frame["subscriptions"] = number.round().astype(np.int64)
    low, high = np.quantile(effects, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    return frame.assign(ratio=np.exp(np.median(effects, axis=0)), ratio_low=np.exp(low), ratio_high=np.exp(high))


_MEANINGS = {
    "a": "Shape a of the propensities",
    "b": "Shape b of the propensities",
    "c": "Duration dependence c (1: none)",
    "slope": "Slope of the log risk in log tenure",
    "log_joining": "Month of joining, times the trend",
    "log_first": "First month, times the trend",
    "log_renewal": "Renewal months, times the trend",
}


def tabulate_parameters(fit: RetentionFit, interval: float = 0.9, draws: int = 1000) -> pd.DataFrame:
    """Parameters of every unit as published, and the multipliers of single months.

    Returns
    -------
    pandas.DataFrame
        unit, parameter (words), value (posterior median), low, high.
    """
    data, values = fit.data, take_draws(fit, draws)
    found = {name: np.exp(values[name]) for name in values if name in _MEANINGS and name.startswith("log_")}
    if fit.name == "hazard":
        found = {"slope": values["slope"]} | found
    else:
        published = exposure.published_parameters(values, data.tenures, len(data.tenures), data.renewal)
        found = {name: published[name] for name in ("a", "b", "c")} | found
    rows = []
    for place, unit in enumerate(data.units):
        for name, each in found.items():
            low, middle, high = np.quantile(each[:, place], [(1 - interval) / 2, 0.5, (1 + interval) / 2])
            rows.append((unit, _MEANINGS[name], middle, low, high))
    return pd.DataFrame(rows, columns=["unit", "parameter", "value", "low", "high"])


def check_hazards(fit: RetentionFit, interval: float = 0.9, draws: int = 500, seed: int = 1) -> pd.DataFrame:
    """Posterior predictive check: leavers by month of tenure, against what the model says could have happened.

    Returns
    -------
    pandas.DataFrame
        unit, tenure, at_risk, left, hazard (left / at_risk), expected, low, high (hazard, with the chance of outcomes),
        inside.
    """
    data, rng = fit.data, np.random.default_rng(seed)
    values, parts = take_draws(fit, draws), []
    for unit in data.units:
        own = np.flatnonzero(data.blocks["unit"] == unit)
        leavers = 0.0
        for part in np.array_split(own, max(len(own) * draws * len(data.tenures) // _CELLS, 1)):
            hazard = -np.expm1(-risks_of(fit, values, part))
            leavers = leavers + rng.binomial(data.at_risk[part].astype(np.int64), hazard).sum(axis=1)
        frame = pd.DataFrame({"unit": unit, "tenure": data.tenures, "at_risk": data.at_risk[own].sum(axis=0)})
        frame["left"] = data.left[own].sum(axis=0)
        seen = np.maximum(frame["at_risk"].to_numpy(), 1.0)
        low, high = np.quantile(leavers, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
        frame = frame.assign(
            hazard=frame["left"] / seen,
            expected=leavers.mean(axis=0) / seen,
            low=low / seen,
            high=high / seen,
            inside=(low <= frame["left"]) & (frame["left"] <= high),
        )
        parts.append(frame[frame["at_risk"] > 0])
    return pd.concat(parts, ignore_index=True)


def forecast_survivors(
    fit: RetentionFit, months: int, active: pd.DataFrame | None = None, draws: int = 1000, seed: int = 1
) -> dict[str, Array]:
    """Draw how many of the active subscriptions are still there after each month to come.

    Parameters
    ----------
    fit : RetentionFit
        The fitted model.
    months : int
        Horizon.
    active : pandas.DataFrame, optional
        block, tenure (months), subscriptions; by default those that were active in the fit's data.
    draws, seed : int
        Draws, and seed of the outcomes.

    Returns
    -------
    dict of str to array, shape (draws, months)
        Of each unit, an outcome per draw: parameters, chance, and payments that fail as often as so far.
    """
    data, rng = fit.data, np.random.default_rng(seed)
    values = take_draws(fit, draws)
    size = len(values["log_risk"])
    cut = rng.beta(0.5 + data.cut_off, 0.5 + data.at_risk_of_it - data.cut_off, (size, len(data.units)))
    cut *= data.cut_off > 0
    rows = data.active if active is None else active
    unit_of = data.unit_of_block
    total = {unit: np.zeros((size, months)) for unit in data.units}
    first = int(data.tenures[0])
    ahead = max(months + int(rows["tenure"].max()) - int(data.tenures[-1]), 0)
    for block, part in rows.groupby("block"):
        place = unit_of[block]
        risk = risks_of(fit, values, np.array([block]), ahead)[:, 0]
        reached = np.concatenate([np.zeros((size, 1)), risk.cumsum(axis=1)], axis=1)
        start = np.maximum(part["tenure"].to_numpy() + 1 - first, 0)
        count = np.broadcast_to(part["subscriptions"].to_numpy(np.int64), (size, len(part)))
        for month in range(months):
            grown = reached[:, start + month + 1] - reached[:, start + month]
            count = rng.binomial(count, np.exp(-grown) * (1.0 - cut[:, place, None]))
            total[data.units[place]][:, month] += count.sum(axis=1)
    return total


def score_patterns(
    fit: RetentionFit, unit: str, horizons: tuple[int, ...] = (1, 3, 6, 12), interval: float = 0.9, draws: int = 400
) -> pd.DataFrame:
    """Probability that a subscription leaves of its own will within some months, by covariate pattern and tenure.

    Returns
    -------
    pandas.DataFrame
        The covariates, tenure (months, of active subscriptions), and for each horizon H of `horizons` leaves_H with
        _low and _high: the interval of the probability, not of the outcome.
    """
    data = fit.data
    own = np.flatnonzero(data.blocks["unit"] == unit)
    values, first, parts = take_draws(fit, draws), int(data.tenures[0]), []
    tail = [(1 - interval) / 2, (1 + interval) / 2]
    tenures = np.arange(int(data.tenures[-1]) + 1)
    for block in own:
        risk = risks_of(fit, values, np.array([block]), max(horizons) + 1)[:, 0]
        reached = np.concatenate([np.zeros((len(risk), 1)), risk.cumsum(axis=1)], axis=1)
        start = np.maximum(tenures + 1 - first, 0)
        frame = pd.DataFrame({"tenure": tenures})
        for name in data.covariates:
            frame.insert(0, name, data.blocks[name].iloc[block])
        for horizon in horizons:
            leaves = -np.expm1(-(reached[:, start + horizon] - reached[:, start]))
            low, high = np.quantile(leaves, tail, axis=0)
            frame[f"leaves_{horizon}"] = leaves.mean(axis=0)
            frame[f"leaves_{horizon}_low"], frame[f"leaves_{horizon}_high"] = low, high
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
