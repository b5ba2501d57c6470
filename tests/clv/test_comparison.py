"""Leave-one-out prediction from count rows: against ArviZ, against refits, and the choice that follows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from scipy import special, stats

from cvmlib import inference
from cvmlib.clv import comparison
from cvmlib.clv.comparison import choose, compare, leave_one_out, rank, score_forecast, score_models, smooth
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.families.family import Family
from cvmlib.clv.families.registry import BG_NBD, FAMILIES
from cvmlib.clv.purchase_model import Draws, PurchaseFit
from tests.clv.worlds import World, count_unit, purchase_rows

WORLD = World(rate=0.02)
NOISE = 0.06


def fit_of(world: World, seed: int, units=("shop",), noise: float = NOISE) -> PurchaseFit:
    """A fit whose posterior lies around the parameters of a world."""
    rng = np.random.default_rng(seed)
    names = {n: getattr(world, n) for n in BG_NBD.names}
    dims = ("chain", "draw", "unit")
    values = {n: (dims, v * rng.lognormal(0, noise, (2, 500, len(units)))) for n, v in names.items()}
    trace = xr.DataTree.from_dict({"posterior": xr.Dataset(values, coords={"unit": list(units)})})
    return PurchaseFit(BG_NBD, trace, tuple(units), 1.0, inference.Diagnostics(1.0, 900, 900, 0, "rate"))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return purchase_rows(count_unit("shop", WORLD, 400, seed=3, age=60))


def test_rows_stand_for_their_customers(rows):
    """Every customer on his own, through ArviZ, gives the same sum and the same standard error."""
    draws = fit_of(WORLD, 1).draws("shop", 1000)
    found = leave_one_out(rows, draws)
    each = rows.loc[rows.index.repeat(rows["customers"])]
    assert len(each) > len(rows)
    x, t_x, T = (each[c].to_numpy(dtype=float) for c in ("frequency", "recency", "T"))
    log_likelihood = bg_nbd.log_likelihood(x, t_x, T, *draws.column())
    elpd, k, p = array_stats.loo(log_likelihood.T[:, None, :], chain_axis=-2, draw_axis=-1)
    assert found.total == pytest.approx(elpd.sum(), abs=0.02)
    assert found.standard_error == pytest.approx(np.sqrt(len(each) * elpd.var(ddof=1)), rel=1e-3)
    assert found.customers @ found.effective == pytest.approx(p.sum(), abs=0.02)
    smoothed = np.repeat(found.pareto_k, rows["customers"])
    assert smoothed[smoothed != 0] == pytest.approx(k[smoothed != 0], abs=1e-6)


def test_chunks_do_not_matter(rows, monkeypatch):
    draws = fit_of(WORLD, 1).draws("shop", 300)
    whole = leave_one_out(rows, draws)
    monkeypatch.setattr(comparison, "_CELLS", 300 * 7)
    parts = leave_one_out(rows, draws)
    assert parts.elpd == pytest.approx(whole.elpd, rel=1e-12) and (parts.pareto_k == whole.pareto_k).all()


def test_it_is_the_density_without_the_customer():
    """Normal data with known variance and a flat prior: leaving one out is a normal density in closed form."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=30)
    mean = rng.normal(y.mean(), 1 / np.sqrt(30), 20_000)
    elpd, effective, k = smooth(stats.norm(mean[:, None], 1.0).logpdf(y))
    others = (y.sum() - y) / 29
    exact = stats.norm(others, np.sqrt(1 + 1 / 29)).logpdf(y)
    assert elpd == pytest.approx(exact, abs=0.02) and elpd.sum() == pytest.approx(exact.sum(), abs=0.05)
    with_him = stats.norm(y.mean(), np.sqrt(1 + 1 / 30)).logpdf(y)
    assert effective.sum() == pytest.approx((with_him - exact).sum(), abs=0.05) and (k < 0.7).all()


def test_nearly_flat_rows_need_no_smoothing():
    rng = np.random.default_rng(2)
    log_likelihood = -3.0 + rng.uniform(-0.02, 0.02, (1000, 5))
    elpd, _, k = smooth(log_likelihood)
    assert (k == 0).all()
    log_weights, _ = array_stats.psislw(log_likelihood.T)
    assert elpd == pytest.approx(special.logsumexp(log_weights + log_likelihood.T, axis=1), abs=1e-4)


def test_a_customer_unlike_the_rest_is_noticed():
    rng = np.random.default_rng(3)
    log_likelihood = np.column_stack([rng.normal(0, 0.2, 1000), rng.normal(0, 6.0, 1000)])
    _, _, k = smooth(log_likelihood)
    found = comparison.LeaveOneOut(np.zeros(2), np.zeros(2), k, np.array([90.0, 10.0]), 1000)
    assert k[0] < 0.5 < 0.7 < k[1] and found.bad_share == pytest.approx(0.1)
    assert comparison.LeaveOneOut(np.zeros(2), np.zeros(2), np.array([0.0, 0.55]), np.ones(2), 100).bad_share == 0.5


def test_differences_are_paired(rows):
    one = leave_one_out(rows, fit_of(WORLD, 1).draws("shop", 500))
    other = leave_one_out(rows, fit_of(World(rate=0.012), 2).draws("shop", 500))
    difference, error = one.better_than(other)
    assert difference == pytest.approx(one.total - other.total) and difference > 0
    each = np.repeat(one.elpd - other.elpd, rows["customers"])
    assert error == pytest.approx(np.sqrt(len(each) * each.var(ddof=1)))
    assert error < 0.7 * np.hypot(one.standard_error, other.standard_error)
    assert one.better_than(one) == (0.0, 0.0)
    with pytest.raises(ValueError, match="same, in the same order"):
        one.better_than(leave_one_out(rows.head(5), fit_of(WORLD, 1).draws("shop", 500)))


def both_units(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, purchase_rows(count_unit("kiosk", World(rate=0.05), 200, seed=8, age=60))])


def test_every_unit_is_ranked(rows):
    units = ("shop", "kiosk")
    models = {"right": fit_of(WORLD, 1, units), "fast": fit_of(World(rate=0.05), 2, units)}
    table = rank(models, both_units(rows), draws=400)
    assert list(zip(table["unit"], table["model"], strict=True)) == [
        ("kiosk", "fast"), ("kiosk", "right"), ("shop", "right"), ("shop", "fast"),
    ]  # fmt: skip
    assert table["difference"].iloc[[0, 2]].tolist() == [0, 0] and (table["difference"].iloc[[1, 3]] < 0).all()
    assert (table["parameters"] == 4).all() and (table["effective"].abs() < 12).all()
    winners = choose(table)
    assert winners["model"].tolist() == ["fast", "right"]
    reason = winners["reason"][1]
    assert reason.startswith("right predicts customers left out best: its log predictive density is")
    assert reason.endswith(").") and "above that of fast (standard error" in reason


def test_adjustments_and_scores_enter(rows):
    models = {"plain": fit_of(WORLD, 1), "calendar": fit_of(WORLD, 1)}
    adjusted = {"calendar": {"shop": 50.0}}
    scores = pd.DataFrame({"unit": ["shop"] * 2, "model": ["plain", "calendar"], "crps": [0.5, 0.4]})
    by_model = {"plain": rows, "calendar": rows.assign(T=rows["T"] * 1.0)}
    table = rank(models, by_model, adjusted, parameters={"calendar": 7}, scores=scores, draws=300)
    assert table["model"].tolist() == ["calendar", "plain"]
    assert table["difference"].tolist() == [0.0, pytest.approx(-50.0)]
    assert table["parameters"].tolist() == [7, 4] and table["crps"].tolist() == [0.4, 0.5]
    assert choose(table)["model"].tolist() == ["calendar"]
    found = compare(models, by_model, adjusted, draws=300)["shop"]
    assert found["calendar"].total == pytest.approx(found["plain"].total + 50)


def test_the_unit_of_time_moves_all_models_alike(rows):
    """The density is one of times in days: in weeks every model gains the same, so differences stay."""
    draws = fit_of(WORLD, 1).draws("shop", 300)
    r, alpha, a, b = draws.values
    weeks = leave_one_out(
        rows.assign(recency=rows["recency"] / 7, T=rows["T"] / 7), Draws(BG_NBD, (r, alpha / 7, a, b))
    )
    gained = rows["customers"] @ rows["frequency"] * np.log(7)
    assert weeks.total == pytest.approx(leave_one_out(rows, draws).total + gained, rel=1e-9)


def with_holdout(rows: pd.DataFrame, world: World, horizon: float) -> pd.DataFrame:
    """Each customer's row, with what he does next under the true parameters."""
    each = rows.loc[rows.index.repeat(rows["customers"])].assign(customers=1)
    counts = (each[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    truth = [np.array([value]) for value in world.buying().values()]
    ahead = BG_NBD.simulate_future(np.array([horizon]), *counts, *truth, np.random.default_rng(4))[0]
    keys = ["unit", "frequency", "recency", "T", "holdout_frequency"]
    return each.assign(holdout_frequency=ahead).groupby(keys, as_index=False)["customers"].sum()


def test_holdout_scores_prefer_the_right_model(monkeypatch):
    table = with_holdout(purchase_rows(count_unit("shop", WORLD, 2000, seed=5, age=300)), WORLD, 100.0)
    models = {"right": fit_of(WORLD, 1), "fast": fit_of(World(rate=0.04), 2)}
    found = score_models(models, table, 100.0, draws=200).set_index("model")
    assert found.loc["right", "actual"] == table["holdout_frequency"] @ table["customers"]
    assert abs(found.loc["right", "bias"]) < 0.1 < found.loc["fast", "bias"]
    for lower in ("crps", "mae", "pit_distance"):
        assert found.loc["right", lower] < found.loc["fast", lower]
    assert (
        found.loc["right", "log_score"] > found.loc["fast", "log_score"] and found.loc["right", "pit_distance"] < 0.05
    )
    horizons = {name: {"shop": np.full(200, 100.0)} for name in models}
    again = score_models(models, {name: table for name in models}, horizons, draws=200).set_index("model")
    pd.testing.assert_frame_equal(again, found)
    draws = models["right"].draws("shop", 200)
    monkeypatch.setattr(comparison, "_CELLS", 200 * 50)
    chunked = score_forecast(table, draws, 100.0, np.random.default_rng(1))
    assert len(chunked) == len(table)
    assert np.average(chunked["mean"], weights=table["customers"]) * 2000 == pytest.approx(found.loc["right", "mean"])
    joined = rank(models, table, scores=found.reset_index(), draws=200)
    assert joined["crps"].tolist() == found["crps"].tolist() and (joined["elpd"].diff().dropna() < 0).all()


def timed_families() -> list[Family]:
    return [family for family in FAMILIES.values() if any(p.per_time for p in family.parameters)]


@pytest.mark.parametrize("family", timed_families(), ids=lambda family: family.name)
def test_every_family_states_a_density_of_times(family):
    """In a unit c times as short, each of x purchase times has a density c times as small.

    Regular timing leaves out the product of the gaps to the power k - 1, which grows with the unit just as often.
    """
    x, t_x, T = np.array([0.0, 1.0, 7.0]), np.array([0.0, 3.0, 40.0]), np.array([30.0, 50.0, 41.0])
    typical = {"log": 0.3, "logit": 0.2}
    found = []
    for c in (1.0, 24.0):
        values = [typical[p.link] / (c if p.per_time else 1.0) for p in family.parameters]
        constant = [2] if family.constant else []
        found.append(family.log_likelihood(x, c * t_x, c * T, *family.published(*values, *constant)))
    stages = 2 if family.constant else 1
    assert found[1] - found[0] == pytest.approx(-stages * x * np.log(24.0), abs=1e-9)


def test_opportunities_and_times_are_not_mixed(rows):
    timeless = tuple(replace(p, per_time=False) for p in BG_NBD.parameters)
    discrete = replace(fit_of(WORLD, 2), family=replace(BG_NBD, parameters=timeless))
    with pytest.raises(ValueError, match="steps counts opportunities, the other models measure time"):
        compare({"times": fit_of(WORLD, 1), "steps": discrete}, rows)


def ranked(**columns) -> pd.DataFrame:
    usual = {"unit": "shop", "elpd": 0.0, "se": 1.0, "parameters": 4, "effective": 4.0, "bad_k": 0.0}
    return pd.DataFrame(columns).assign(**{n: v for n, v in usual.items() if n not in columns})


def test_a_simpler_model_wins_when_it_is_as_good():
    close = ranked(
        model=["rich", "other", "simple"], elpd=[9.0, 8.5, 8.0], difference=[0, -0.5, -1.0],
        difference_se=[0, 0.8, 1.5], parameters=[5, 5, 4],
    )  # fmt: skip
    found = choose(close)
    assert found["model"].tolist() == ["simple"]
    assert found["reason"][0] == (
        "simple is chosen for its fewer parameters (4 against 5): rich predicts customers left out better by 1.0 only "
        "(standard error 1.5)."
    )
    assert choose(close.assign(difference_se=[0, 0.4, 0.9]))["model"].tolist() == ["rich"]
    assert choose(close.assign(parameters=4))["model"].tolist() == ["rich"]
    assert "hardly tell them apart" in choose(close.assign(parameters=4))["reason"][0]


def test_reasons_name_doubts_and_lone_models():
    alone = ranked(model=["only"], difference=[0.0], difference_se=[0.0], bad_k=[0.034])
    assert choose(alone)["reason"][0] == (
        "only is the only model that was fitted; for 3% of the customers that prediction is itself uncertain (Pareto k "
        "too high)."
    )
