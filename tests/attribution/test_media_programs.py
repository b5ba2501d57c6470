"""Programs' tests as lift tests of the media mix: held against a simulated market whose saturation is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.media_design import build_design
from cvmlib.attribution.media_experiments import (
    calibrating_tests,
    hide_tested,
    list_experiments,
    market_share,
    tabulate_experiments,
)
from cvmlib.attribution.media_lift import arrange_tests
from cvmlib.attribution.media_model import Form, predict_lifts
from cvmlib.attribution.media_panel import UnitWeeks, build_panel
from cvmlib.programs.regional import measure_regions
from cvmlib.tables.weekly import match_places

WEEKS, START, LENGTH, LAGS = 80, 60, 6, 9
DECAY, HALF, EFFECT = 0.5, 1.5, 0.6  # of a weekly response that is half of EFFECT x the average spend at HALF
GRID = pd.date_range("2024-12-02", periods=WEEKS, freq="7D")
REGIONS = tuple(f"r{i}" for i in range(10))
TREATED = ("r0", "r1", "r2")


def respond(spend: np.ndarray, average: float) -> np.ndarray:
    """Response to weekly spend, in money: normalised geometric carry-over, then Hill."""
    weights = DECAY ** np.arange(LAGS) / (DECAY ** np.arange(LAGS)).sum()
    padded = np.concatenate([np.full(LAGS - 1, spend[:LAGS].mean()), spend]) / average
    carried = np.convolve(padded, weights, "valid")
    return EFFECT * average * 10 * carried / (carried + HALF)


def market(rng: np.random.Generator, level: float = 0.0, noise: float = 0.0, spread: float = 0.0):
    """Ten regions whose spend on tv moves together; within the test the treated ones spend `level` times as much.

    Returns spend with and without the test, the response to each, and what is sold, all of shape (regions, weeks).
    """
    size = rng.uniform(50, 150, len(REGIONS))
    common = np.exp(0.4 * rng.standard_normal(WEEKS))
    without = size[:, None] * common * np.exp(spread * rng.standard_normal((len(REGIONS), WEEKS)))
    spend = without.copy()
    spend[: len(TREATED), START : START + LENGTH] *= level
    average = spend.mean(axis=1)
    with_test = np.stack([respond(row, mean) for row, mean in zip(spend, average, strict=True)])
    instead = np.stack([respond(row, mean) for row, mean in zip(without, average, strict=True)])
    trend = np.exp(np.cumsum(0.01 * rng.standard_normal(WEEKS)))
    base = size[:, None] * 30 * trend * np.exp(noise * rng.standard_normal((len(REGIONS), WEEKS)))
    return spend, without, with_test, instead, base + with_test


def long(values: np.ndarray, name: str, **columns: str) -> pd.DataFrame:
    wide = pd.DataFrame(values.T, index=GRID, columns=list(REGIONS)).rename_axis("week").reset_index()
    return wide.melt("week", var_name="region", value_name=name).assign(**columns)


def regional_weeks(spend: np.ndarray, sold: np.ndarray, *programs: dict, **changes) -> UnitWeeks:
    media, outcomes = long(spend, "spend", channel="tv"), long(sold, "value", outlet="")
    weeks = UnitWeeks("shop", "", media, outcomes, pd.DataFrame(), 0.4, "Shop", pd.DataFrame(programs))
    return replace(weeks, **changes)


def program(lift: float, error: float = 10.0, **changes) -> dict:
    """What a program measured, as its own counts leave it."""
    known = {"program_id": "dark", "label": "Dark weeks", "channel": "tv", "design": "regional", "start": GRID[START],
             "end": GRID[START + LENGTH - 1] + pd.Timedelta(days=6), "cost": np.nan, "lift": lift, "lift_error": error,
             "base": 1e5, "regions": list(TREATED), "untreated": list(REGIONS[3:]), "why_not": ""}  # fmt: skip
    return known | changes


def predict(panel, tests: list) -> np.ndarray:
    """Lifts by the model with the true carry-over, saturation and effect."""
    arrays = arrange_tests(build_design(panel, LAGS), tests)
    pairs = len(panel.pairs)
    truth = {"decay": np.full(pairs, DECAY), "half": np.full(pairs, HALF), "slope": np.ones(pairs)}
    factor = np.array([EFFECT * pair.scale * 10 / panel.series[pair.series].scale for pair in panel.pairs])
    return predict_lifts(Form(), truth, factor, arrays.data(), LAGS)


@pytest.mark.parametrize("level", [0.0, 0.4, 2.0])
def test_true_model_predicts_the_true_lift_of_regions(level):
    spend, without, with_test, instead, sold = market(np.random.default_rng(1), level)
    window = slice(START, START + LENGTH)
    true = float((with_test - instead)[:, window].sum())
    weeks = regional_weeks(spend, sold, program(true))
    panel = build_panel({"shop": weeks})
    (test,) = calibrating_tests(list_experiments(panel, {"shop": weeks}))
    assert test.spend == pytest.approx(abs((spend - without).sum()), rel=1e-6)
    assert test.lift == pytest.approx(abs(true))  # of more spend, whichever side had it
    assert predict(panel, [test])[0] == pytest.approx(abs(true), rel=1e-6)


def test_conversion_covers_the_true_change_of_the_whole_market():
    rng, inside, returns = np.random.default_rng(2), [], []
    for _ in range(100):
        spend, without, with_test, instead, sold = market(rng, 0.0, noise=0.02, spread=0.1)
        window = slice(START, START + LENGTH)
        series = long(sold, "value").rename(columns={"week": "date"})
        found = measure_regions(series, set(TREATED), GRID[START], GRID[START + LENGTH - 1], 0.9)
        base = found.course.loc[found.course["tested"], "expected"].sum()
        row = program(found.incremental, (found.incremental_high - found.incremental_low) / 2 / 1.645, base=base)
        weeks = regional_weeks(spend, sold, row)
        panel = build_panel({"shop": weeks})
        table = tabulate_experiments(panel, list_experiments(panel, {"shop": weeks}))
        share = sold[: len(TREATED)].sum() / sold.sum()
        true = (instead - with_test)[:, window].sum() / LENGTH / share
        inside.append(table["lift_low"][0] <= true <= table["lift_high"][0])
        returns.append(table["spend"][0] / ((without - spend)[:, window].sum() / LENGTH / share))
    assert np.mean(inside) >= 0.81  # 0.9 less three standard errors of 100 runs
    assert np.mean(returns) == pytest.approx(1.0, abs=0.03)


def national_weeks(rng: np.random.Generator, share: float, part: float) -> tuple[UnitWeeks, float, float, float]:
    """A market in which, within the test, `part` of the spend goes to `share` of the customers on top of what all get.

    Returns its tables with the program that did so, its cost, the true lift, and its base.
    """
    spend = 1e3 * np.exp(0.4 * rng.standard_normal(WEEKS))
    window = slice(START, START + LENGTH)
    cost, tested, others = part * spend[window], spend.copy(), spend.copy()
    others[window] -= cost
    tested[window] = others[window] + cost / share  # per customer, in units of the whole market
    more, less = respond(tested, spend.mean()), respond(others, spend.mean())
    sold = 3e4 + share * more + (1 - share) * less
    lift, base = share * (more - less)[window].sum(), share * (3e4 + less)[window].sum()
    media = pd.DataFrame({"week": GRID, "region": "", "channel": "tv", "spend": spend})
    outcomes = pd.DataFrame({"week": GRID, "region": "", "outlet": "", "value": sold})
    row = program(lift, cost=cost.sum(), base=base, design="randomised", regions=[], untreated=[], label="Leaflets")
    return UnitWeeks("shop", "", media, outcomes, pd.DataFrame(), 0.4, "Shop", pd.DataFrame([row])), lift, base, share


@pytest.mark.parametrize(("share", "part"), [(0.3, 0.2), (0.1, 0.05), (0.9, 0.99)])
def test_true_model_predicts_the_true_lift_of_a_part_of_the_customers(share, part):
    weeks, lift, _, _ = national_weeks(np.random.default_rng(3), share, part)
    panel = build_panel({"shop": weeks})
    (test,) = calibrating_tests(list_experiments(panel, {"shop": weeks}))
    assert market_share(panel, test) == pytest.approx(share, rel=1e-6)
    assert predict(panel, [test])[0] == pytest.approx(lift, rel=1e-6)
    table = tabulate_experiments(panel, list_experiments(panel, {"shop": weeks}))
    assert table["lift"][0] == pytest.approx(lift / share / LENGTH)  # a week, in the whole market


def why_not(weeks: UnitWeeks, number: int = 0) -> str:
    panel = build_panel({"shop": weeks})
    table = tabulate_experiments(panel, list_experiments(panel, {"shop": weeks}))
    assert not table["used"][number] and np.isnan(table["lift"][number])
    return table["reason"][number]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cost": np.nan}, "its cost is missing, and media do not tell what it spent"),
        ({"cost": 1e6}, "it cost 1,000,000, but media hold a spend of only"),
        ({"base": 1e9}, "its part of the market is not known: the treated would have brought 1,000,000,000"),
        ({"base": 0.0}, "its part of the market is not known"),
        ({"channel": "radio"}, "media hold no spend on radio; its channels are tv"),
        ({"start": GRID[0] - pd.Timedelta(days=14)}, "media and outcomes hold the weeks from 2024-12-02"),
        ({"why_not": "too few customers bought"}, "too few customers bought"),
        ({"lift_error": np.nan}, "its lift has no error"),
        ({"cost": 50.0, "lift": 5e3, "lift_error": 10.0}, "cost and lift do not fit each other"),
    ],
)
def test_what_cannot_be_converted_is_listed_with_its_reason(changes, reason):
    weeks = national_weeks(np.random.default_rng(3), 0.3, 0.2)[0]
    assert reason in why_not(replace(weeks, programs=weeks.programs.assign(**changes)))


def test_a_region_that_media_do_not_know_and_a_spend_that_did_not_change_are_said():
    spend, _, _, _, sold = market(np.random.default_rng(4), 1.0, spread=0.1)
    assert "the spend on tv hardly changed: its regions spent" in why_not(regional_weeks(spend, sold, program(1e3)))
    weeks = regional_weeks(spend, sold, program(1e3, regions=["r0", "x"]))
    assert "outcomes hold no region x" in why_not(weeks)


def test_a_constant_spend_of_the_untreated_regions_is_known_though_the_fit_leaves_it_out():
    _, _, _, _, sold = market(np.random.default_rng(5), 0.0)
    media = long(np.full((len(REGIONS), WEEKS), 100.0), "spend", channel="tv")
    tested = media["region"].isin(TREATED) & media["week"].between(GRID[START], GRID[START + LENGTH - 1])
    media.loc[tested, "spend"] = 0.0
    kept = media["region"].isin(TREATED)
    weeks = replace(regional_weeks(sold, sold, program(-1e3)), media=media[kept], constant=media[~kept])
    (test,) = calibrating_tests(list_experiments(build_panel({"shop": weeks}), {"shop": weeks}))
    assert test.spend == pytest.approx(100.0 * len(TREATED) * LENGTH) and test.lift == pytest.approx(1e3)


def test_of_overlapping_tests_the_supplied_one_and_else_the_most_precise_is_used():
    spend, _, _, _, sold = market(np.random.default_rng(6), 0.0)
    apart = [program(-1e3, 200.0, label="Coarse"), program(-1e3, 100.0, label="Fine", regions=["r2", "r3"])]
    apart[1]["untreated"] = list(REGIONS[4:])
    spend[3, START : START + LENGTH] = 0.0
    weeks = regional_weeks(spend, sold, *apart)
    panel = build_panel({"shop": weeks})
    table = tabulate_experiments(panel, list_experiments(panel, {"shop": weeks})).set_index("source")
    assert table.loc["Fine", "used"] and not table.loc["Coarse", "used"]
    first, last = GRID[START].date(), (GRID[START + LENGTH - 1] + pd.Timedelta(days=6)).date()
    assert table.loc["Coarse", "reason"] == f"it overlaps Fine ({first} to {last}), which is used"
    spent = float(spend[4, START : START + LENGTH].sum())
    row = {"channel": "tv", "start": GRID[START], "end": GRID[START + LENGTH - 1], "spend": spent, "lift": spent,
           "lift_error": spent, "basis": "total", "region": "r4"}  # fmt: skip
    supplied = replace(weeks, tests=pd.DataFrame([row | {"region": ""}]).assign(market_share=0.1))
    table = tabulate_experiments(panel, list_experiments(panel, {"shop": supplied}))
    assert table["used"].tolist() == [True, False, False]
    assert table["reason"].str.contains("overlaps a supplied lift test").tolist() == [False, True, True]


def test_sales_of_regions_within_their_test_count_once():
    spend, _, _, _, sold = market(np.random.default_rng(7), 0.0)
    weeks = regional_weeks(spend, sold, program(-1e3))
    panel = build_panel({"shop": weeks})
    design, tests = build_design(panel), calibrating_tests(list_experiments(panel, {"shop": weeks}))
    hidden = hide_tested(design, tests)
    gone = design.fitted & ~hidden.fitted
    assert gone[: len(TREATED), START : START + LENGTH].all() and gone.sum() == len(TREATED) * LENGTH
    assert not hidden.follows[: len(TREATED), START + LENGTH].any()
    assert hide_tested(design, []) is design


def test_regions_are_added_up_where_media_know_the_whole_market_only():
    sold = long(market(np.random.default_rng(8))[4], "value", outlet="").assign(price=2.0)
    sold.loc[sold["region"] == "r0", "price"] = 4.0
    media = pd.DataFrame({"week": GRID, "region": "", "channel": "tv", "spend": 1.0})
    gap = sold.drop(index=sold.index[(sold["region"] == "r1") & (sold["week"] == GRID[3])])
    added = match_places(media, gap).set_index("week")
    assert GRID[3] not in added.index and len(added) == WEEKS - 1
    week = sold[sold["week"] == GRID[0]]
    assert added.loc[GRID[0], "value"] == pytest.approx(week["value"].sum())
    assert added.loc[GRID[0], "price"] == pytest.approx(np.average(week["price"], weights=week["value"]))
    assert match_places(media.assign(region="r0"), sold) is sold
