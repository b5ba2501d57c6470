"""Effects, diagnostics and holdout from draws that are made up, so that each answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution import media_effects as effects
from cvmlib.attribution import media_levels
from cvmlib.attribution.media_design import build_design, reference_returns
from cvmlib.attribution.media_diagnostics import find_followers, mark_captured, measure_collinearity
from cvmlib.attribution.media_holdout import forecast_outcomes, score_holdout, tabulate_holdout
from cvmlib.attribution.media_model import RETURN_MEAN, RETURN_SD, Form
from cvmlib.attribution.media_panel import build_panel
from tests.attribution.media_worlds import CHANNELS, as_weeks, simulate

DRAWS = 200


@pytest.fixture(scope="module")
def design():
    return build_design(build_panel({"shop": as_weeks("shop", simulate())}))


@pytest.fixture(scope="module")
def posterior(design) -> effects.MediaPosterior:
    """True carry-over, saturation and returns, and a baseline without season and controls."""
    count, shapes = len(design.panel.series), len(design.shapes)
    rng = np.random.default_rng(1)
    known = {channel.name: channel for channel in CHANNELS}
    true = np.array([known[pair.channel].true_return for pair in design.panel.pairs]) / reference_returns(design.panel)
    draws = {
        "ret": true + 0.01 * rng.standard_normal((DRAWS, len(true))),
        "decay": np.tile([known[channel].decay for _, channel in design.shapes], (DRAWS, 1)),
        "half": np.tile([known[channel].half for _, channel in design.shapes], (DRAWS, 1)),
        "slope": np.ones((DRAWS, shapes)),
        "level": np.zeros((DRAWS, count)),
        "trend_drift": np.zeros((DRAWS, count)),
        "trend_bend": np.zeros((DRAWS, count, design.trend.shape[1] - 1)),
        "sigma": np.full((DRAWS, count), 0.05),
        "persistence": np.full((DRAWS, 1), 0.3),
        "compounding": np.ones((DRAWS, 1)),
    }
    return effects.MediaPosterior(design, Form(), draws)


def test_contributions_are_those_simulated(posterior):
    made = simulate().contributions
    for channel in ("tv", "brand search"):
        truth = made.loc[made["channel"] == channel, "contribution"].to_numpy()
        found = effects.contributions(posterior, "shop", channel).mean(axis=0)
        # the first weeks differ: what was spent before them is not known to the panel
        np.testing.assert_allclose(found[9:], truth[9:], atol=0.03 * truth.max())


def test_returns_are_the_true_ones_and_a_channel_without_effect_has_none(posterior):
    table = effects.tabulate_returns(posterior, "shop", 0.4).set_index("channel")
    for channel in CHANNELS:
        assert table.loc[channel.name, "return"] == pytest.approx(channel.true_return, abs=0.02)
    assert table.loc["print", "return_low"] < 0 < table.loc["print", "return_high"]
    assert (table["learnt"] > 0.99).all()
    assert table.loc["tv", "pays"] == 0.0  # 1.5 of sales at a margin of 0.4 is 0.6 for 1
    assert (table["marginal"] < table["return"] + 0.02).all()


def test_draws_of_the_prior_are_told_as_prior(posterior):
    rng = np.random.default_rng(2)
    prior = {**posterior.draws, "ret": rng.normal(RETURN_MEAN, RETURN_SD, posterior.draws["ret"].shape)}
    table = effects.tabulate_returns(replace(posterior, draws=prior), "shop", 0.4)
    assert (table["source"] == "prior").all()
    assert table["learnt"].max() < 0.3


def test_captured_demand_belongs_to_the_baseline(posterior):
    captured = np.zeros_like(posterior.draws["ret"])
    captured[:, 0] = 1.0
    other = replace(posterior, draws={**posterior.draws, "captured": captured})
    before, after = (effects.baseline(one, 0).sum() for one in (posterior, other))
    assert after == pytest.approx(before, rel=0.01)  # media leave less, and what is captured comes anyway
    for channel in ("tv", "print", "brand search"):
        one, two = (effects.contributions(p, "shop", channel) for p in (posterior, other))
        np.testing.assert_array_equal(one, two)


def test_curves_are_marked_where_spend_was_never_held(posterior):
    curves = media_levels.tabulate_curves(posterior, "shop")
    for channel, curve in curves.groupby("channel"):
        low, high = media_levels.observed_levels(posterior, "shop", channel)
        assert (curve["observed"] == curve["level"].between(low - 1e-9, high + 1e-9)).all()
        today = curve.loc[np.isclose(curve["level"], 1.0), "response"].iloc[0]
        assert today == pytest.approx(effects.contributions(posterior, "shop", channel)[:, -52:].mean(), rel=1e-9)
    tv = curves[curves["channel"] == "tv"].set_index("level")["response"]
    assert np.all(np.diff(tv) > 0)
    assert np.all(np.diff(tv, 2) < 1e-6)  # more spend brings ever less


def test_what_is_only_captured_is_no_response(posterior):
    levels, captured = np.array([0.5, 1.0, 1.5]), np.linspace(0.0, 0.5, DRAWS)
    pair = posterior.design.panel.pairs_of("shop", "tv")[0]
    found = media_levels.respond_to_levels(posterior, "shop", "tv", levels, captured)
    left = posterior.draws["ret"][:, pair] - captured
    for column, level in zip(found.T, levels, strict=True):
        expected = effects.respond(posterior, pair, float(level), left)[:, -52:].mean(axis=1)
        np.testing.assert_allclose(column, expected, rtol=1e-12)


def test_outlets_show_what_is_taken():
    split = replace(CHANNELS[0], split=(1.6, -0.6))
    tables = simulate(channels=(split, *CHANNELS[1:]), outlets={"online": 0.5, "store": 0.5})
    design = build_design(build_panel({"shop": as_weeks("shop", tables)}))
    count = len(design.panel.pairs)
    sign = [-1.0 if design.panel.series[p.series].outlet == "store" else 1.0 for p in design.panel.pairs]
    shapes = len(design.shapes)
    draws = {"ret": np.tile(sign, (50, 1)) + 0.01 * np.random.default_rng(1).standard_normal((50, count))}
    draws |= {name: np.full((50, shapes), value) for name, value in (("decay", 0.4), ("half", 2.0), ("slope", 1.0))}
    table = effects.tabulate_outlets(effects.MediaPosterior(design, Form(), draws), "shop")
    assert (table.loc[table["outlet"] == "store", "takes"] == 1.0).all()
    assert (table.loc[table["outlet"] == "online", "takes"] == 0.0).all()


def test_channels_that_trade_off_are_named(posterior):
    rng = np.random.default_rng(3)
    swing = rng.standard_normal(DRAWS)
    moved = posterior.draws["ret"].copy()
    moved[:, 1] += swing
    moved[:, 2] -= swing
    found = effects.tabulate_confusions(replace(posterior, draws={**posterior.draws, "ret": moved}), "shop")
    assert found[["first", "second"]].to_numpy().tolist() == [["print", "tv"]]
    assert found["correlation"].iloc[0] < -0.95


def test_collinear_channels_are_found(design):
    tables = simulate()
    tv = tables.media[tables.media["channel"] == "tv"]
    twin = tv.assign(channel="tv twin", spend=tv["spend"] * np.random.default_rng(1).uniform(0.98, 1.02, len(tv)))
    weeks = as_weeks("shop", tables)
    both = replace(weeks, media=pd.concat([weeks.media, twin.assign(region="")], ignore_index=True))
    table = measure_collinearity(build_design(build_panel({"shop": both})), "shop").set_index("channel")
    assert table.loc[["tv", "tv twin"], "collinear"].all()
    assert not table.loc["print", "collinear"]
    assert not measure_collinearity(design, "shop")["collinear"].any()


def test_spend_that_follows_last_weeks_sales_is_found(design):
    assert not find_followers(design)["follows"].any()
    weeks = as_weeks("shop", simulate())
    sales = weeks.outcomes.sort_values("week")["value"].to_numpy()
    after = np.concatenate([[sales.mean()], sales[:-1]]) ** 2
    media = weeks.media.copy()
    media.loc[media["channel"] == "print", "spend"] = after / after.mean() * 1000.0
    found = build_design(build_panel({"shop": replace(weeks, media=media)}))
    assert find_followers(found).set_index("channel").loc["print", "follows"]
    assert mark_captured(found).captured.tolist() == [True, True, False]  # brand search by name, print by its course
    assert mark_captured(found, {"shop": ["tv"]}).captured.tolist() == [False, False, True]


def test_holdout_is_scored_against_what_came(posterior):
    table = tabulate_holdout(posterior, "shop", 13)
    assert len(table) == 13
    perfect = table.assign(expected=table["actual"], low=table["actual"] - 1, high=table["actual"] + 1)
    scores = score_holdout(perfect)
    assert scores["mape"] == 0.0
    assert scores["covered"] == 1.0
    assert score_holdout(perfect.assign(expected=1.1 * table["actual"]))["bias"] == pytest.approx(0.1)


def test_a_forecast_goes_on_from_the_last_week_seen(posterior):
    """What that week was off fades as the noise does, and the spread of the outcomes grows to that of the noise."""
    weeks = 8
    design = build_design(posterior.design.panel, holdout=weeks)
    count = 4000
    draws = {name: np.repeat(values[:1], count, axis=0) for name, values in posterior.draws.items()}
    seen = effects.MediaPosterior(design, Form(), draws)
    expected, outcomes = forecast_outcomes(seen, 0, weeks, np.random.default_rng(1))
    scale, mean = design.panel.series[0].scale, effects.fitted(seen, 0)[0]
    off = design.panel.outcome[0, len(mean) - weeks - 1] * scale - mean[-weeks - 1]
    np.testing.assert_allclose(expected[0] - mean[-weeks:], off * 0.3 ** np.arange(1, weeks + 1), rtol=1e-9)
    spread = 0.05 * scale * np.sqrt(np.cumsum(0.3 ** (2.0 * np.arange(weeks))))
    np.testing.assert_allclose((outcomes - expected).std(axis=0), spread, rtol=0.05)
