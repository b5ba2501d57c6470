"""Which purchase model each unit gets: the rhythm of its customers first, then the family that predicts them best.

The number k of stages of a gap (1 is random timing) is the one of greatest likelihood of all gaps; a rhythm must beat
random timing clearly. The families are then ranked by leave-one-out prediction, each fitted to each unit alone by the
quick route (`cvmlib.quick`), which for four parameters is nearly exact; where it cannot be trusted, the family is
sampled. A unit is given the family that predicts best, unless one that is preferred is within one standard error of it:
the one that predicts best in the unit's pool as a whole, so that a small unit follows the others, then those that stand
first in the list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from cvmlib import inference, quick
from cvmlib.clv import comparison, purchase_model, regularity
from cvmlib.clv.families.bg_cnbd import log_gap_term
from cvmlib.clv.families.family import Family
from cvmlib.clv.families.registry import BG_CNBD, FAMILIES, MBG_CNBD
from cvmlib.clv.purchase_model import PurchaseFit
from cvmlib.compiled.density import compile_density

Array = npt.NDArray[np.float64]

#: Families by random timing, and what they are called where timing may be regular.
REGULAR = {"bg_nbd": BG_CNBD, "mbg_nbd": MBG_CNBD}
#: Log-likelihood by which a rhythm must beat random timing: e^3 is twenty to one.
CLEAR = 3.0
#: Log-likelihood by which a unit's own gaps must contradict those of its pool.
DOUBTLESS = 10.0
#: Proposals of a quick fit of four parameters, and the draws kept of them.
_PROPOSALS, _DRAWS = 600, 400

_LINKS = {"log": (pt.exp, np.exp), "logit": (pt.sigmoid, lambda v: 1.0 / (1.0 + np.exp(-v)))}


@dataclass(frozen=True)
class Choice:
    """The purchase model of each unit.

    Parameters
    ----------
    families : dict of str to Family
        By unit.
    stages : dict of str to int
        Stages k of the gaps, by unit; 1 is random timing.
    reasons : dict of str to str
        Why, in words.
    table : DataFrame
        Every model of every unit, best first: see `cvmlib.clv.comparison.rank`; ``model`` is its name in print, and
        ``chosen`` tells the winner. Empty where there was nothing to choose from.
    """

    families: Mapping[str, Family]
    stages: Mapping[str, int]
    reasons: Mapping[str, str] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)

    def title(self, unit: str) -> str:
        """Name in print of the model of `unit`, with its k."""
        return print_name(self.families[unit], self.stages[unit])


def print_name(family: Family, stages: int) -> str:
    """Name in print of a family with so many stages: ``BG/NBD``, ``MBG/CNBD-3``."""
    if not family.constant:
        return family.title
    return family.title.replace("CNBD-k", "NBD" if stages == 1 else f"CNBD-{stages}")


def join_choices(choices: Sequence[Choice], units: Sequence[str]) -> Choice:
    """Join choices for different units into one for `units`."""
    return Choice(
        {unit: choice.families[unit] for choice in choices for unit in units if unit in choice.families},
        {unit: choice.stages[unit] for choice in choices for unit in units if unit in choice.families},
        {unit: choice.reasons[unit] for choice in choices for unit in units if unit in choice.reasons},
        pd.concat([choice.table for choice in choices], ignore_index=True) if choices else pd.DataFrame(),
    )


def choose_families(
    rows: Mapping[str, pd.DataFrame],
    log_gaps: Mapping[str, float],
    candidates: Sequence[str],
    sampling: inference.Sampling,
    *,
    horizons: Mapping[str, Array] | None = None,
    pools: Mapping[str, str] | None = None,
) -> Choice:
    """Choose the purchase model of each unit.

    Parameters
    ----------
    rows : mapping of str to DataFrame
        Count rows by unit, in operational days: ``unit``, ``frequency``, ``recency``, ``T``, ``customers``.
    log_gaps : mapping of str to float
        By unit, the sum over all gaps between consecutive purchases of their logarithms (operational days).
    candidates : sequence of str
        Families allowed, the preferred first. Those of random timing stand for their regular forms too where
        ``bg_cnbd`` or ``mbg_cnbd`` is among them.
    sampling : Sampling
        For a family whose quick fit cannot be trusted; its seed is that of the quick fits.
    horizons : mapping of str to array, optional
        By unit, draws of the operational days of the holdout, where `rows` have ``holdout_frequency``: the table then
        has the scores of the holdout.
    pools : mapping of str to str, optional
        Pool of each unit.

    Returns
    -------
    Choice
    """
    rhythms = _choose_stages(rows, log_gaps, candidates, pools or {})
    stages = {unit: k for unit, (k, _) in rhythms.items()}
    regular = any(k > 1 for k in stages.values())
    families = _families(candidates, regular)
    if len(families) == 1:
        family = next(iter(families.values()))
        return Choice(dict.fromkeys(rows, family), stages, _describe_rhythms(rhythms))
    together = pd.concat(rows.values(), ignore_index=True)
    fits = {
        name: _fit(rows, together, family, stages if family.constant else {}, sampling, pools)
        for name, family in families.items()
    }
    adjustments = {
        name: {unit: _gap_term(rows[unit], log_gaps[unit], stages[unit]) if family.constant else 0.0 for unit in rows}
        for name, family in families.items()
    }
    table = comparison.rank(fits, together, adjustments, scores=_score(fits, rows, horizons, sampling.seed))
    return _conclude(table, families, stages, _describe_rhythms(rhythms), pools or {})


def _families(candidates: Sequence[str], regular: bool) -> dict[str, Family]:
    """Families to compare, by name: the regular form stands for its random one where a unit has a rhythm."""
    forms = {"bg_cnbd": "bg_nbd", "mbg_cnbd": "mbg_nbd"}
    names = list(dict.fromkeys(forms.get(name, name) for name in candidates))
    found = {}
    for name in names:
        form = REGULAR.get(name)
        family = form if form is not None and regular and form.name in candidates else FAMILIES[name]
        found[family.name] = family
    return found


def _choose_stages(
    rows: Mapping[str, pd.DataFrame],
    log_gaps: Mapping[str, float],
    candidates: Sequence[str],
    pools: Mapping[str, str],
) -> dict[str, tuple[int, float]]:
    """Stages of the gaps of each unit, and the log-likelihood by which they beat random timing.

    The gaps of a pool speak together, so that a small unit does not take chance for a rhythm; a unit whose own gaps
    contradict the pool beyond doubt has its own number.
    """
    profiles = {unit: _profile_stages(rows[unit], log_gaps[unit], candidates) for unit in rows}
    found = {}
    for unit, own in profiles.items():
        together = sum(profiles[other] for other in rows if pools.get(other, "") == pools.get(unit, ""))
        k = _clearest(together)
        best = int(own.argmax()) + 1
        k = best if own[best - 1] - own[k - 1] > DOUBTLESS else k
        found[unit] = k, float(own[k - 1] - own[0])
    return found


def _clearest(profile: Array) -> int:
    best = int(profile.argmax()) + 1
    return best if profile[best - 1] - profile[0] > CLEAR else 1


def _profile_stages(rows: pd.DataFrame, log_gaps: float, candidates: Sequence[str]) -> Array:
    """Greatest log-likelihood of one unit's purchases for each number of stages; zeros where it cannot be told."""
    modified = "mbg_cnbd" in candidates and "bg_cnbd" not in candidates
    if not {"bg_cnbd", "mbg_cnbd"} & set(candidates) or (rows["frequency"] > 1).sum() == 0:
        return np.zeros(regularity.MOST)
    columns = (rows[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    fits = regularity.fit_each_k(*columns, log_gaps, rows["customers"].to_numpy(dtype=float), modified=modified)
    return np.array([fits[k].log_likelihood for k in range(1, regularity.MOST + 1)])


def _gap_term(rows: pd.DataFrame, log_gaps: float, stages: int) -> float:
    gaps = float(rows["frequency"] @ rows["customers"])
    return float(log_gap_term(stages, gaps, log_gaps))


def build_alone(rows: pd.DataFrame, family: Family, stages: int = 1) -> tuple[pm.Model, float]:
    """Build the model of one unit by itself: the prior of a unit of the hierarchy, without the others.

    Parameters
    ----------
    rows : DataFrame
        Count rows of the unit: ``frequency``, ``recency``, ``T`` (days), ``customers``.
    family : Family
        The model.
    stages : int
        Its constant, where it has one.

    Returns
    -------
    model : pymc.Model
        Free variables are the parameters on their link scales, in the order of the family.
    time_scale : float
        Days in the model's unit of time.
    """
    weights, age = (rows[name].to_numpy(dtype=float) for name in ("customers", "T"))
    scale = float(np.average(age, weights=weights)) or 1.0
    data = family.lay_out(
        np.zeros(len(rows), dtype=np.int64),
        rows["frequency"].to_numpy(dtype=np.int64),
        rows["recency"].to_numpy(dtype=float) / scale,
        age / scale,
        weights,
    )
    with pm.Model() as model:
        values = []
        for p in family.parameters:
            z = pm.Normal(p.prior.name, p.prior.mean, float(np.hypot(p.prior.sd, p.prior.spread)), shape=1)
            values.append(_LINKS[p.link][0](z))
        if family.constant:
            values.append(np.array([stages], dtype=np.int64))
        pm.Potential("log_likelihood", family.density(data, *family.published(*values)))
    return model, scale


def _fit(
    rows: Mapping[str, pd.DataFrame],
    together: pd.DataFrame,
    family: Family,
    stages: Mapping[str, int],
    sampling: inference.Sampling,
    pools: Mapping[str, str] | None,
) -> PurchaseFit:
    """Fit a family to every unit alone by the quick route; sample all together where that cannot be trusted."""
    posterior = []
    for number, (unit, mine) in enumerate(sorted(rows.items())):
        model, scale = build_alone(mine, family, stages.get(unit, 1))
        density = compile_density(model)
        rng = np.random.default_rng([sampling.seed, number])
        found = quick.approximate(density, density.start, rng, proposals=_PROPOSALS)
        if not found.trust.light:
            return purchase_model.fit(together, sampling, pools, family, stages or None)
        points = found.resample(_DRAWS, rng)
        natural = [_LINKS[p.link][1](points[:, i]) for i, p in enumerate(family.parameters)]
        days = [value / scale if p.per_time else value for p, value in zip(family.parameters, natural, strict=True)]
        posterior.append(days)
    values = np.moveaxis(np.array(posterior), 0, -1)[:, None]  # parameters, chain, draw, unit
    dataset = xr.Dataset(
        {name: (("chain", "draw", "unit"), values[i]) for i, name in enumerate(family.names)},
        coords={"unit": sorted(rows)},
    )
    trace = xr.DataTree.from_dict({"posterior": dataset})
    return PurchaseFit(family, trace, tuple(sorted(rows)), 1.0, found.trust, dict(stages))


def _score(
    fits: Mapping[str, PurchaseFit],
    rows: Mapping[str, pd.DataFrame],
    horizons: Mapping[str, Array] | None,
    seed: int,
) -> pd.DataFrame | None:
    """Scores of the holdout, of the units that have one."""
    if not horizons:
        return None
    held = pd.concat([rows[unit] for unit in horizons], ignore_index=True)
    draws = min(len(horizon) for horizon in horizons.values())
    ahead = {name: {unit: horizon[:draws] for unit, horizon in horizons.items()} for name in fits}
    return comparison.score_models(fits, held, ahead, draws=draws, seed=seed)


def _describe_rhythms(rhythms: Mapping[str, tuple[int, float]]) -> dict[str, str]:
    return {
        unit: (
            f"Customers buy by a rhythm: with gaps of {k} stages the log-likelihood of their purchases is {gain:,.0f} "
            "higher than with random timing."
        )
        for unit, (k, gain) in rhythms.items()
        if k > 1
    }


def _conclude(
    table: pd.DataFrame,
    families: Mapping[str, Family],
    stages: Mapping[str, int],
    rhythms: Mapping[str, str],
    pools: Mapping[str, str],
) -> Choice:
    own = table["unit"].map(stages) > 1
    table = table.assign(parameters=[len(families[name].parameters) for name in table["model"]])
    table["parameters"] += own & table["model"].map(lambda name: bool(families[name].constant))
    names = {(unit, name): print_name(families[name], stages[unit]) for unit in stages for name in families}
    keys = list(zip(table["unit"], table["model"], strict=True))
    printed = table.assign(model=[names[key] for key in keys], chosen=False)
    winners, reasons = {}, {}
    for unit in stages:
        order = _prefer(table, families, unit, pools)
        mine = table["unit"] == unit
        winners[unit] = comparison.choose(table[mine], order)["model"].iloc[0]
        said = comparison.choose(printed[mine], [names[unit, name] for name in order])["reason"].iloc[0]
        reasons[unit] = " ".join(filter(None, (rhythms.get(unit), said)))
        printed.loc[mine & (table["model"] == winners[unit]), "chosen"] = True
    return Choice({unit: families[name] for unit, name in winners.items()}, stages, reasons, printed)


def _prefer(table: pd.DataFrame, families: Mapping[str, Family], unit: str, pools: Mapping[str, str]) -> list[str]:
    """Families in the order of preference for `unit`: that of its pool, then as listed."""
    pool = [other for other in table["unit"].unique() if pools.get(other, "") == pools.get(unit, "")]
    together = (
        table[table["unit"].isin(pool)]
        .groupby("model")
        .agg(elpd=("elpd", "sum"), parameters=("parameters", "max"), bad_k=("bad_k", "max"))
    )
    lead = table[table["unit"].isin(pool)].assign(v=lambda t: t["difference_se"] ** 2).groupby("model")["v"].sum()
    together = together.assign(difference=together["elpd"] - together["elpd"].max(), difference_se=np.sqrt(lead))
    best = comparison.choose(together.reset_index().assign(unit=""), list(families))["model"].iloc[0]
    return list(dict.fromkeys([best, *families]))
