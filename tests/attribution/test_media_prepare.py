"""From supplied tables to weekly ones: wide tables, controls, units with media alone, and bad input said clearly."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.media_prepare import load_panel, prepare_unit
from cvmlib.errors import ConfigError, DataError
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.checks import check_unit

WEEKS = 80
CONFIG = """
[portfolio]
name = "Test"
source = "."
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1

[units.shop]
label = "Shop"
setting = "noncontractual"
margin = 0.4

[units.shop.tables.media]
path = "media.csv"

[units.shop.tables.outcomes]
path = "outcomes.csv"
{more}
"""


def weekly(weeks: int = WEEKS) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    days = pd.date_range(end="2026-06-22", periods=weeks, freq="7D")
    media = pd.concat(
        [
            pd.DataFrame({"week": days, "channel": c, "spend": rng.gamma(2, 50, weeks).round(2)})
            for c in ("tv", "social")
        ]
    )
    outcomes = pd.DataFrame(
        {"week": days, "value": rng.normal(1000, 50, weeks).round(2), "index": rng.normal(size=weeks)}
    )
    return media, outcomes


def write(folder: Path, media: pd.DataFrame, outcomes: pd.DataFrame, config: str = CONFIG, more: str = "") -> Portfolio:
    media.to_csv(folder / "media.csv", index=False)
    outcomes.to_csv(folder / "outcomes.csv", index=False)
    (folder / "business_units.toml").write_text(config.replace("{more}", more))
    return read_portfolio(folder / "business_units.toml")


def problem(portfolio: Portfolio, kind: str):
    return next(p for p in check_unit(portfolio, "shop").problems if p.kind == kind)


def test_a_unit_of_media_alone_is_prepared(tmp_path):
    portfolio = write(tmp_path, *weekly(), more='columns = { trend_index = "index" }')
    assert [path.name for path in prepare_unit(portfolio, "shop")] == [
        "media.parquet", "outcomes.parquet", "tests.parquet", "constant.parquet", "programs.parquet", "notes.json",
    ]  # fmt: skip
    panel, weeks = load_panel(portfolio)
    assert [pair.channel for pair in panel.pairs] == ["social", "tv"]
    assert panel.outcome.mean() == pytest.approx(1.0)
    assert list(panel.controls["shop", ""].columns) == ["trend_index"]  # mapped by name; `index` alone is none
    assert len(weeks["shop"].media) == 2 * WEEKS


def test_one_column_per_channel_is_made_long(tmp_path):
    media, outcomes = weekly()
    wide = media.pivot(index="week", columns="channel", values="spend").reset_index()
    wide.columns = ["week", "S1", "S2"]
    config = CONFIG.replace('path = "media.csv"', 'path = "media.csv"\nchannels = { social = "S1", tv = "s2" }')
    panel, _ = load_panel(write(tmp_path, wide, outcomes, config))
    long = tmp_path / "long"
    long.mkdir()
    other, _ = load_panel(write(long, media, outcomes))
    np.testing.assert_allclose(panel.spend, other.spend)
    assert panel.pairs == other.pairs


def test_an_unknown_column_of_a_channel_is_said(tmp_path):
    config = CONFIG.replace('path = "media.csv"', 'path = "media.csv"\nchannels = { social = "spendd" }')
    with pytest.raises(DataError, match=r"channels.social = \"spendd\" refers to spendd, .*did you mean spend"):
        load_panel(write(tmp_path, *weekly(), config))


def test_channels_elsewhere_or_twice_are_mistakes(tmp_path):
    with pytest.raises(ConfigError, match="only media can have one column per channel"):
        write(tmp_path, *weekly(), more='channels = { tv = "value" }')
    config = CONFIG.replace(
        'path = "media.csv"', 'path = "media.csv"\ncolumns = { spend = "spend" }\nchannels = { tv = "spend" }'
    )
    with pytest.raises(ConfigError, match="found beside channels"):
        write(tmp_path, *weekly(), config)


def test_rows_of_one_week_are_added_up(tmp_path):
    media, outcomes = weekly()
    halves = pd.concat([media.assign(spend=media["spend"] / 2)] * 2)
    one, _ = load_panel(write(tmp_path, halves, outcomes))
    assert one.spent(1).sum() == pytest.approx(media.loc[media["channel"] == "tv", "spend"].sum())


def test_negative_spend_blocks_the_media_mix(tmp_path):
    media, outcomes = weekly()
    media.iloc[3, 2] = -500.0
    found = problem(write(tmp_path, media, outcomes), "negative_spend")
    assert "the spend of 1 week is negative: tv, week of" in found.message
    assert "-500.00" in found.message
    assert found.blocks == ("media",)


def test_constant_spend_is_left_out_and_said(tmp_path):
    media, outcomes = weekly()
    media.loc[media["channel"] == "tv", "spend"] = 100.0
    portfolio = write(tmp_path, media, outcomes)
    found = problem(portfolio, "constant_spend")
    assert "the spend of tv is the same in every week (100)" in found.message
    assert "Vary the spend, or test it" in found.treatment
    assert [pair.channel for pair in load_panel(portfolio)[0].pairs] == ["social"]


def test_nothing_but_constant_spend_is_refused(tmp_path):
    media, outcomes = weekly()
    with pytest.raises(DataError, match=r"no channel has a spend that varies \(social, tv\)"):
        load_panel(write(tmp_path, media.assign(spend=7.0), outcomes))


def test_weeks_without_any_media_block(tmp_path):
    media, outcomes = weekly()
    gone = media["week"].sort_values().unique()[10:12]
    found = problem(write(tmp_path, media[~media["week"].isin(gone)], outcomes), "gap")
    assert "no channel has a row in 2 weeks" in found.message
    assert str(pd.Timestamp(gone[0]).date()) in found.message
    assert found.blocks == ("media",)


def test_weeks_without_one_channel_are_taken_as_no_spend(tmp_path):
    media, outcomes = weekly()
    found = problem(write(tmp_path, media.iloc[5:], outcomes), "absent_weeks")
    assert "tv (5)" in found.message
    assert found.blocks == ()


def test_weeks_without_an_outcome_are_left_out_of_the_fit(tmp_path):
    media, outcomes = weekly()
    portfolio = write(tmp_path, media, outcomes.drop(index=[20, 21]))
    assert problem(portfolio, "gap").table == "outcomes"
    panel, _ = load_panel(portfolio)
    assert panel.observed.sum() == WEEKS - 2
    assert not panel.observed[0, 20:22].any()


def test_another_currency_blocks(tmp_path):
    media, outcomes = weekly()
    portfolio = write(tmp_path, media.assign(currency=["USD"] * 5 + ["EUR"] * (len(media) - 5)), outcomes)
    found = problem(portfolio, "currency")
    assert "the portfolio counts in EUR, but media holds USD in 5 rows" in found.message
    assert "convert the money in the mapping" in found.treatment
    assert found.blocks == ("media",)


def test_daily_outcomes_block(tmp_path):
    media, outcomes = weekly()
    again = outcomes.assign(week=outcomes["week"] + pd.Timedelta(days=1))
    found = problem(write(tmp_path, media, pd.concat([outcomes, again])), "not_weekly")
    assert "expected one row per week" in found.message
    assert found.blocks == ("media",)


def test_regions_must_be_the_same(tmp_path):
    media, outcomes = weekly()
    found = problem(write(tmp_path, media.assign(region="north"), outcomes), "region")
    assert "media has spend in north, but outcomes knows (no region) only" in found.message


def test_a_short_history_blocks(tmp_path):
    found = problem(write(tmp_path, *weekly(30)), "short")
    assert "overlap in 30 weeks" in found.message
    assert found.blocks == ("media",)


def test_media_without_outcomes_block(tmp_path):
    config = CONFIG[: CONFIG.index("[units.shop.tables.outcomes]")]
    found = problem(write(tmp_path, *weekly(), config), "missing")
    assert "media but no outcomes" in found.message


def test_lift_tests_of_the_wrong_basis_block_and_are_disclosed(tmp_path):
    media, outcomes = weekly()
    tests = pd.DataFrame({
        "channel": ["tv"], "start": ["2026-01-05"], "end": ["2026-02-01"], "spend": [100.0], "lift": [80.0],
        "lift_error": [30.0], "basis": ["total"],
    })  # fmt: skip
    tests.to_csv(tmp_path / "lift.csv", index=False)
    portfolio = write(tmp_path, media, outcomes, more='[units.shop.tables.lift_tests]\npath = "lift.csv"')
    checks = tmp_path / "build" / "business_units" / "units" / "shop" / "checks.json"
    checks.parent.mkdir(parents=True)
    assert prepare_unit(portfolio, "shop") == []
    assert 'say basis = \\"weekly\\"' in checks.read_text()
    with pytest.raises(DataError, match="no media mix can be fitted"):
        load_panel(portfolio)


def test_a_week_that_is_not_over_is_left_out(tmp_path):
    media, outcomes = weekly()
    days = pd.Timedelta(days=7)
    portfolio = write(tmp_path, media.assign(week=media["week"] + days), outcomes.assign(week=outcomes["week"] + days))
    panel, _ = load_panel(portfolio)
    assert panel.weeks[0][-1].date() == date(2026, 6, 22)


def test_limits_of_a_plan_are_read_and_held_against_today(tmp_path):
    more = "[units.shop.media_mix]\nlimits = { tv = [0.8, 1.1] }"
    assert write(tmp_path, *weekly(), more=more).units["shop"].media_mix.limits == {"tv": (0.8, 1.1)}
    for wrong in ("[1.1, 1.3]", "0.5", "[0.5]", "[true, 2]"):
        with pytest.raises(ConfigError, match=r"limits.tv: found .*; allowed is two multiples of last year's spend"):
            write(tmp_path, *weekly(), more=more.replace("[0.8, 1.1]", wrong))
