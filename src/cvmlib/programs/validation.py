"""Whether the pool describes the lifts: each program predicted from the others, and the verdicts under other priors."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.portfolio import Portfolio
from cvmlib.programs.pooling import pool_lifts
from cvmlib.programs.study import Study, judge_programs

MOST = 60
"""Programs that are left out one at a time; of more, evenly spaced ones."""


def predict_each(study: Study, seed: int, draws: int = 2_000) -> pd.DataFrame:
    """Predict the measured lift of each program from all the others (leave one out).

    Parameters
    ----------
    study : Study
        The study.
    seed, draws : int
        Seed and number of posterior draws.

    Returns
    -------
    DataFrame
        unit, program_id, lift, low and high (90% predictive interval), rank (probability of a smaller lift: uniform
        where the pool is right).
    """
    order = study.order.reset_index(drop=True)
    units = {name: i for i, name in enumerate(study.units)}
    number = order["unit"].map(units).to_numpy(int)
    chosen = np.unique(np.linspace(0, len(order) - 1, min(MOST, len(order))).round().astype(int)) if len(order) else []
    noise = np.random.default_rng(seed).standard_normal(draws)
    rows = []
    for i in chosen:
        others = order.drop(index=i)
        pooled = pool_lifts(
            others["lift"], others["se"], np.delete(number, i), units=len(units),
            prior_scale=study.settings.prior_scale, draws=draws, seed=seed,
        )  # fmt: skip
        drawn = pooled.fresh[:, number[i]] + order.loc[i, "se"] * noise
        lift, (low, high) = order.loc[i, "lift"], np.quantile(drawn, [0.05, 0.95])
        share = np.expm1([lift, low, high])
        rows.append((order.loc[i, "unit"], order.loc[i, "program_id"], *share, float((drawn < lift).mean())))
    return pd.DataFrame(rows, columns=["unit", "program_id", "lift", "low", "high", "rank"])


def vary_prior(study: Study, portfolio: Portfolio, scales: Sequence[float] = (1 / 3, 3.0)) -> pd.DataFrame:
    """Judge all programs again under a narrower and a wider prior.

    Parameters
    ----------
    study : Study
        The study.
    portfolio : Portfolio
        The portfolio.
    scales : sequence of float
        Multiples of the prior scale.

    Returns
    -------
    DataFrame
        unit, label, verdict, and per scale ``verdict_SCALE`` and ``probability_SCALE``; scale 1 is the study's own.
    """
    frames = []
    for factor in (1.0, *scales):
        settings = replace(study.settings, prior_scale=factor * study.settings.prior_scale)
        units = study.units if factor == 1 else judge_programs(portfolio, study.measured, settings).units
        parts = [unit.results.assign(unit=name) for name, unit in units.items()]
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        if table.empty:
            return pd.DataFrame(columns=["unit", "label"])
        kept = table.loc[table["design"] == "randomised", ["unit", "label", "pooled", "probability", "verdict"]]
        names = {name: f"{name}_{factor:g}" for name in ("pooled", "probability", "verdict")}
        frames.append(kept.rename(columns=names).set_index(["unit", "label"]))
    return pd.concat(frames, axis=1).reset_index()
