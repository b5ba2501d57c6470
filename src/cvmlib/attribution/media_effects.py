"""What the posterior says that media brought: contributions and returns.

Everything is computed draw by draw and then summarised, so every figure has its interval. What more or less spend would
bring is `cvmlib.attribution.media_levels`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_model import RETURN_SD, UNIT_VARIANCE, Form, baseline_of
from cvmlib.attribution.media_panel import Array, Index
from cvmlib.attribution.media_transforms import ADSTOCKS, SATURATIONS, adstock_weights, carry_over, saturate

YEAR_WEEKS = 52
KNOWN, PARTLY = 0.8, 0.5
"""Share of the prior variance of a return that the data took away, from which on it counts as known, or partly so."""


@dataclass(frozen=True)
class MediaPosterior:
    """Thinned draws of the model with the design they belong to; each array has shape (draws, ...)."""

    design: MediaDesign
    form: Form
    draws: dict[str, Array]

    @property
    def count(self) -> int:
        """Draws."""
        return len(self.draws["ret"])

    def parameters(self, pair: int) -> dict[str, Array]:
        """Carry-over and saturation of a pair, shape (draws,) each."""
        shape = self.design.shape[pair]
        names = {"shape": "shape_of_delay"}
        wanted = (*ADSTOCKS[self.form.adstock], *SATURATIONS[self.form.saturation])
        return {name: self.draws[names.get(name, name)][:, shape] for name in wanted}


def respond(posterior: MediaPosterior, pair: int, level: float = 1.0, returns: Array | None = None) -> Array:
    """Contribution of a pair week by week if its spend had been a multiple of what it was.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws.
    pair : int
        The pair of series and channel.
    level : float
        Multiple of the observed spend.
    returns : array, shape (draws,), optional
        In reference returns; by default those of the pair.

    Returns
    -------
    array, shape (draws, weeks)
        In money.
    """
    returns = posterior.draws["ret"][:, pair] if returns is None else returns
    design = posterior.design
    found = design.panel.pairs[pair]
    weeks = len(design.panel.weeks[found.series])
    mine = posterior.parameters(pair)
    weights = adstock_weights(posterior.form.adstock, mine, design.lagged.shape[2])
    carried = carry_over(design.lagged[pair, :weeks][None], weights)
    observed = saturate(posterior.form.saturation, mine, carried)
    factor = returns * design.reference[pair] / observed.mean(axis=1)
    response = observed if level == 1.0 else saturate(posterior.form.saturation, mine, level * carried)
    return factor[:, None] * response * design.panel.series[found.series].scale


def factors(posterior: MediaPosterior) -> Array:
    """Contribution per unit of response of each pair, in multiples of the series' average, shape (draws, pairs)."""
    design = posterior.design
    columns = []
    for pair, found in enumerate(design.panel.pairs):
        weeks = len(design.panel.weeks[found.series])
        mine = posterior.parameters(pair)
        weights = adstock_weights(posterior.form.adstock, mine, design.lagged.shape[2])
        observed = saturate(posterior.form.saturation, mine, carry_over(design.lagged[pair, :weeks][None], weights))
        columns.append(posterior.draws["ret"][:, pair] * design.reference[pair] / observed.mean(axis=1))
    return np.stack(columns, axis=1)


def contributions(posterior: MediaPosterior, unit: str, channel: str, outlet: str | None = None) -> Array:
    """Contribution of a channel of a unit week by week, over its regions and outlets (or one outlet).

    Returns
    -------
    array, shape (draws, weeks)
        In money.
    """
    panel = posterior.design.panel
    pairs = [
        i for i in panel.pairs_of(unit, channel)
        if outlet is None or panel.series[panel.pairs[i].series].outlet == outlet
    ]  # fmt: skip
    return sum(respond(posterior, i) for i in pairs)


def spend_of(posterior: MediaPosterior, unit: str, channel: str) -> Array:
    """Weekly spend of a channel of a unit in money, outlets counted once, shape (weeks,)."""
    panel = posterior.design.panel
    regions = {panel.series[panel.pairs[i].series].region: panel.spent(i) for i in panel.pairs_of(unit, channel)}
    return np.sum(list(regions.values()), axis=0)


def associated(posterior: MediaPosterior) -> Array:
    """Returns with the demand that channels capture, in reference returns, shape (draws, pairs)."""
    return posterior.draws["ret"] + posterior.draws.get("captured", 0.0)


def baseline(posterior: MediaPosterior, series: int) -> Array:
    """Outcome without media, week by week, shape (draws, weeks), in money; never negative.

    It holds the demand that channels capture: that would have come anyway.
    """
    mine = np.flatnonzero(posterior.design.panel.series_of_pair == series)
    captured = posterior.draws.get("captured", np.zeros_like(posterior.draws["ret"]))
    kept = _unmoved_baseline(posterior, series)
    for pair in mine[captured[:, mine].any(axis=0)]:
        kept = kept + respond(posterior, pair, returns=captured[:, pair])
    return kept


def _unmoved_baseline(posterior: MediaPosterior, series: int) -> Array:
    design, draws = posterior.design, posterior.draws
    weeks = len(design.panel.weeks[series])
    market = design.market[series]
    steps = draws["trend_drift"][:, series, None] + np.cumsum(draws["trend_bend"][:, series], axis=1)
    path = np.cumsum(np.concatenate([np.zeros((len(steps), 1)), steps], axis=1), axis=1)
    path = path - path.mean(axis=1, keepdims=True)
    moved = draws["level"][:, series][:, None] + path @ design.trend[series][:, :weeks]
    if "season" in draws:
        moved = moved + draws["season"][:, market] @ design.season[series][:, :weeks]
    if "control" in draws:
        moved = moved + draws["control"][:, market] @ design.controls[series][:, :weeks]
    mine = design.panel.series_of_pair == series
    share = (associated(posterior) * design.reference)[:, mine].sum(axis=1)
    compounding = draws["compounding"][:, design.panel.units().index(design.panel.series[series].unit)]
    return baseline_of(share, moved, compounding) * design.panel.series[series].scale


def fitted(posterior: MediaPosterior, series: int) -> Array:
    """Expected outcome of a series week by week, shape (draws, weeks), in money."""
    mine = np.flatnonzero(posterior.design.panel.series_of_pair == series)
    return baseline(posterior, series) + sum(respond(posterior, i) for i in mine)


def summarise(draws: Array, interval: float) -> dict[str, float]:
    """Mean and equal-tailed interval of draws: mean, low, high."""
    low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
    return {"mean": float(draws.mean()), "low": float(low), "high": float(high)}


def tabulate_returns(posterior: MediaPosterior, unit: str, margin: float, interval: float = 0.9) -> pd.DataFrame:
    """What each channel of a unit cost and brought over the observed weeks.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws.
    unit : str
        The unit.
    margin : float
        Share of the outcome that is margin.
    interval : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        channel, spend, contribution, share (of the outcome), return, marginal (return of the next unit of money at the
        spend of the last year), each but the first two with _low and _high; pays (probability that the margin of what
        came exceeds the spend), pays_next (the same of the next unit of money), learnt (share of the prior variance of
        the return that the data took away), source ("data", "partly prior", "prior").
    """
    panel = posterior.design.panel
    outcome = sum(panel.outcome[s].sum() * panel.series[s].scale for s in panel.series_of(unit))
    rows = []
    for channel in panel.channels_of(unit):
        spend = spend_of(posterior, unit, channel)
        total = contributions(posterior, unit, channel).sum(axis=1)
        marginal = marginal_return(posterior, unit, channel)
        learnt = contraction(posterior, unit, channel)
        row = {"channel": channel, "spend": float(spend.sum())}
        measures = {
            "contribution": total,
            "share": total / outcome,
            "return": total / spend.sum(),
            "marginal": marginal,
        }
        for name, draws in measures.items():
            found = summarise(draws, interval)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        row |= {
            "pays": float(np.mean(total * margin > spend.sum())),
            "pays_next": float(np.mean(marginal * margin > 1.0)),
            "learnt": learnt,
            "source": "data" if learnt >= KNOWN else "partly prior" if learnt >= PARTLY else "prior",
        }
        rows.append(row)
    return pd.DataFrame(rows).sort_values("spend", ascending=False, ignore_index=True)


def marginal_return(posterior: MediaPosterior, unit: str, channel: str, step: float = 0.05) -> Array:
    """Outcome per unit of money of a little more spend in the pattern of the last year, shape (draws,)."""
    pairs = posterior.design.panel.pairs_of(unit, channel)
    gained = sum(
        (respond(posterior, i, 1.0 + step) - respond(posterior, i))[:, -YEAR_WEEKS:].sum(axis=1) for i in pairs
    )  # fmt: skip
    spent = spend_of(posterior, unit, channel)[-YEAR_WEEKS:].sum()
    return gained / (step * spent) if spent > 0 else np.full(posterior.count, np.nan)


def contraction(posterior: MediaPosterior, unit: str, channel: str) -> float:
    """Share of the prior variance of a channel's return that the data (and tests) took away, at least 0."""
    design = posterior.design
    pairs, weight = _weigh_pairs(posterior, unit, channel)
    of_kind = np.array([kind for kind, _ in design.groups])
    prior = 0.0
    for kind in np.unique(design.kind[pairs]):
        mine = weight[design.kind[pairs] == kind]
        scattered = np.sum(of_kind == kind) > 1
        prior += mine.sum() ** 2 * (RETURN_SD**2 + UNIT_VARIANCE * scattered) + (
            len(mine) > 1
        ) * UNIT_VARIANCE * np.sum(mine**2)
    return max(1.0 - float(np.var(mean_return(posterior, unit, channel))) / prior, 0.0)


def mean_return(posterior: MediaPosterior, unit: str, channel: str) -> Array:
    """Return of a channel over a unit's regions and outlets, in reference returns, shape (draws,)."""
    pairs, weight = _weigh_pairs(posterior, unit, channel)
    return posterior.draws["ret"][:, pairs] @ weight


def _weigh_pairs(posterior: MediaPosterior, unit: str, channel: str) -> tuple[Index, Array]:
    """Pairs of a unit with a channel, and the weight of each by what it would bring at the reference return."""
    design = posterior.design
    panel = design.panel
    pairs = np.array(panel.pairs_of(unit, channel))
    money = np.array([design.reference[i] * panel.series[panel.pairs[i].series].scale for i in pairs])
    return pairs, money / money.sum()


def tabulate_weeks(posterior: MediaPosterior, unit: str, interval: float = 0.9) -> pd.DataFrame:
    """Outcome of a unit week by week: as it was, as expected with interval, and its parts.

    Returns
    -------
    pandas.DataFrame
        week, actual, expected, low, high, baseline, and one column per channel (means), in money.
    """
    panel = posterior.design.panel
    mine = panel.series_of(unit)
    weeks = panel.weeks[mine[0]]
    actual = sum(
        np.where(panel.observed[s], panel.outcome[s] * panel.series[s].scale, np.nan)[: len(weeks)] for s in mine
    )
    expected = sum(fitted(posterior, s) for s in mine)
    low, high = np.quantile(expected, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    table = {"week": weeks, "actual": actual, "expected": expected.mean(axis=0), "low": low, "high": high}
    table["baseline"] = sum(baseline(posterior, s).mean(axis=0) for s in mine)
    for channel in panel.channels_of(unit):
        table[channel] = contributions(posterior, unit, channel).mean(axis=0)
    return pd.DataFrame(table)


def tabulate_outlets(posterior: MediaPosterior, unit: str, interval: float = 0.9) -> pd.DataFrame:
    """What each channel brought to each outlet; a negative figure was taken from it.

    Returns
    -------
    pandas.DataFrame
        channel, outlet, contribution with _low and _high (money), takes (probability that it is negative); empty when
        outlets are not told apart.
    """
    panel = posterior.design.panel
    outlets = sorted({panel.series[s].outlet for s in panel.series_of(unit)})
    names = ["channel", "outlet", "contribution", "contribution_low", "contribution_high", "takes"]
    rows = []
    for channel in panel.channels_of(unit) if len(outlets) > 1 else []:
        for outlet in outlets:
            draws = contributions(posterior, unit, channel, outlet).sum(axis=1)
            found = summarise(draws, interval)
            rows.append((channel, outlet, found["mean"], found["low"], found["high"], float(np.mean(draws < 0))))
    return pd.DataFrame(rows, columns=names)


def tabulate_confusions(posterior: MediaPosterior, unit: str, least: float = 0.4) -> pd.DataFrame:
    """Pairs of channels that the data can hardly tell apart: what one gains, the other loses.

    Returns
    -------
    pandas.DataFrame
        first, second, correlation (of what they brought, over the draws; below -`least`).
    """
    channels = posterior.design.panel.channels_of(unit)
    totals = np.stack([contributions(posterior, unit, channel).sum(axis=1) for channel in channels])
    found = np.atleast_2d(np.corrcoef(totals))
    rows = [
        (channels[i], channels[j], float(found[i, j]))
        for i in range(len(channels)) for j in range(i + 1, len(channels)) if found[i, j] < -least
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["first", "second", "correlation"]).sort_values("correlation", ignore_index=True)
