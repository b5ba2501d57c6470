"""Programs that varied a media channel: what they measured, and how it reaches the media mix."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cvmlib.attribution import media_prepare
from cvmlib.attribution.media_experiments import calibrating_tests, list_experiments, tabulate_experiments
from cvmlib.attribution.media_panel import build_panel
from cvmlib.programs.media_tests import list_media_tests, normal_error
from cvmlib.programs.prepare import prepare_unit
from cvmlib.programs.prepared import MEDIA_TESTS, load_unit
from cvmlib.tables.checks import check_unit
from tests.programs.company import draw_arm, list_programs, write_company

WEEKS, LENGTH, BEGAN = 90, 6, 80
GRID = pd.date_range("2024-10-07", periods=WEEKS, freq="7D")
REGIONS = [f"r{i}" for i in range(12)]
RETURN = 1.5  # sales per unit of money in the same week


def weekly(seed: int = 1, tested: tuple[str, ...] = ("r0", "r1")) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Media and outcomes of twelve regions; in the test the tested ones spend twice as much."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(50, 150, len(REGIONS))
    spend = size[:, None] * np.exp(0.3 * rng.standard_normal(WEEKS) + 0.02 * rng.standard_normal((12, WEEKS)))
    chosen = np.isin(REGIONS, tested)
    spend[chosen, BEGAN : BEGAN + LENGTH] *= 2
    trend = np.exp(np.cumsum(0.01 * rng.standard_normal(WEEKS)))
    sold = 20 * size[:, None] * trend * np.exp(0.005 * rng.standard_normal((12, WEEKS))) + RETURN * spend

    def long(values: np.ndarray, name: str) -> pd.DataFrame:
        wide = pd.DataFrame(values.T, index=GRID, columns=REGIONS).rename_axis("week").reset_index()
        return wide.melt("week", var_name="region", value_name=name)

    return long(spend, "spend").assign(channel="tv"), long(sold, "value")


def areas(program: str, treated: tuple[str, ...]) -> pd.DataFrame:
    arm = np.where(np.isin(REGIONS, treated), "treated", "control")
    return pd.DataFrame({"program_id": program, "customer_id": REGIONS, "arm": arm})


def write(folder, programs: pd.DataFrame, assignments: pd.DataFrame, **tables):
    media, outcomes = weekly()
    tables = {"media": media, "outcomes": outcomes} | tables
    portfolio = write_company(folder, programs=programs, assignments=assignments, **tables)
    checks = check_unit(portfolio, "shop")
    return portfolio, checks, [*prepare_unit(portfolio, "shop", checks)]


def list_regional(*names: str, **columns) -> pd.DataFrame:
    last = GRID[BEGAN + LENGTH - 1] + pd.Timedelta(days=6)
    times = {"start": GRID[BEGAN], "end": last, "media_channel": "tv"}
    return list_programs(*((name, 500.0, "regional") for name in names), **(times | columns))


def test_a_regional_program_calibrates_its_channel(tmp_path):
    portfolio, checks, written = write(tmp_path, list_regional("double"), areas("double", ("r0", "r1")))
    assert MEDIA_TESTS in [path.name for path in written]
    first = {path: path.read_bytes() for path in [*written, *media_prepare.prepare_unit(portfolio, "shop", checks)]}
    weeks = media_prepare.load_weeks(portfolio, "shop")
    panel = build_panel({"shop": weeks})
    experiments = list_experiments(panel, {"shop": weeks})
    (test,) = calibrating_tests(experiments)
    assert test.regions == ("r0", "r1") and (test.start, test.weeks) == (BEGAN, LENGTH) and test.source == "Double"
    assert test.measured_return == pytest.approx(RETURN, abs=3 * test.error / test.spend)
    assert test.error / test.spend < RETURN / 2  # the test says something
    table = tabulate_experiments(panel, experiments)
    assert table["used"].tolist() == [True] and table["share"][0] == pytest.approx(2 / 12, abs=0.1)
    again = [*prepare_unit(portfolio, "shop", checks), *media_prepare.prepare_unit(portfolio, "shop", checks)]
    kept = [path for path in again if path.suffix == ".parquet"]
    assert {path: path.read_bytes() for path in kept} == {path: first[path] for path in kept}  # nothing to do after it


def test_where_media_know_the_whole_market_only_cost_and_share_are_taken(tmp_path):
    media, outcomes = weekly()
    media = media.groupby(["week", "channel"], as_index=False)["spend"].sum()
    spent = weekly()[0].query("region in ('r0', 'r1') and week >= @GRID[@BEGAN] and week < @GRID[@BEGAN + @LENGTH]")
    cost = float(spent["spend"].sum() / 2)
    programs = list_regional("double", cost=cost)
    portfolio, checks, _ = write(tmp_path, programs, areas("double", ("r0", "r1")), media=media)
    assert "media" not in checks.blocked
    media_prepare.prepare_unit(portfolio, "shop", checks)
    weeks = media_prepare.load_weeks(portfolio, "shop")
    panel = build_panel({"shop": weeks})
    (test,) = calibrating_tests(list_experiments(panel, {"shop": weeks}))
    sold = outcomes.groupby("region")["value"].sum()
    assert test.regions == () and test.share == pytest.approx(sold[["r0", "r1"]].sum() / sold.sum(), rel=0.02)
    assert test.spend == pytest.approx(cost)
    assert test.measured_return == pytest.approx(RETURN, abs=3 * test.error / test.spend)


def test_programs_in_the_same_areas_are_not_told_apart_and_areas_of_another_are_no_controls(tmp_path):
    pairs = {"one": ("r0", "r1"), "two": ("r1", "r2"), "far": ("r5", "r6")}
    assignments = pd.concat([areas(name, treated) for name, treated in pairs.items()])
    portfolio, _, _ = write(tmp_path, list_regional(*pairs), assignments)
    found = list_media_tests(load_unit(portfolio, "shop")).set_index("program_id")
    assert found.loc["one", "why_not"] == "Two ran in the same areas at the same time"
    assert found.loc["two", "why_not"] == "One ran in the same areas at the same time"
    assert found.loc["far", "why_not"] == "" and set(found.loc["far", "untreated"]).isdisjoint({"r0", "r1", "r2"})


def test_programs_drawn_at_random_and_those_that_measured_nothing(tmp_path):
    rows = [("sure", 500.0, "randomised"), ("lost", 500.0, "randomised"), ("few", 5.0, "randomised")]
    rows += [("late", 5.0, "randomised"), ("chosen", 5.0, "none"), ("mail", 5.0, "randomised")]
    rows += [("rolling", 5.0, "randomised"), ("weekly", 500.0, "randomised")]
    programs = list_programs(*rows, treated_share=0.5, window_days=42.0, media_channel="tv")
    programs.loc[programs["program_id"] == "mail", "media_channel"] = None
    programs.loc[programs["program_id"] == "late", "start"] = pd.Timestamp("2026-06-20")
    assignments = pd.concat(
        [draw_arm("sure", 4_000, 4_000, 0.4, 1), draw_arm("lost", 3_000, 4_000, 0.4, 2), draw_arm("few", 4, 4, 0.0, 3),
         draw_arm("late", 500, 500, 0.0, 4), draw_arm("chosen", 500, 500, 0.0, 5), draw_arm("mail", 500, 500, 0.0, 6),
         draw_arm("rolling", 500, 500, 0.0, 7, assigned_on=pd.to_datetime(["2026-01-05", "2026-06-10"] * 500)),
         draw_arm("weekly", 4_000, 4_000, 0.4, 8, assigned_on=pd.to_datetime(["2026-01-05", "2026-02-09"] * 4_000))]
    )  # fmt: skip
    portfolio, _, _ = write(tmp_path, programs, assignments)
    found = list_media_tests(load_unit(portfolio, "shop")).set_index("program_id")
    assert sorted(found.index) == [
        "chosen",
        "few",
        "late",
        "lost",
        "rolling",
        "sure",
        "weekly",
    ]  # mail names no channel
    for name, reason in {
        "lost": "its randomisation is broken. 3,000 customers are treated and 4,000 held back",
        "few": "too few customers bought in its window",
        "late": "its window was not over at the end of observation",
        "rolling": "its window was not over at the end of observation",  # for the half drawn in June
        "chosen": "nobody was held back by chance",
    }.items():
        assert reason in found.loc[name, "why_not"] and np.isnan(found.loc[name, "lift"])
    sure = found.loc["sure"]
    drawn = assignments[assignments["program_id"] == "sure"].groupby("arm")["outcome"].agg(["mean", "var", "size"])
    raw = (drawn["var"] / drawn["size"]).sum() ** 0.5 * 4_000
    assert sure["why_not"] == "" and abs(sure["lift"] - 0.4 * sure["base"]) < 3 * raw
    assert 0.3 * raw < sure["lift_error"] < raw  # what they brought before takes out some of it
    assert sure["end"] == pd.Timestamp("2026-01-01") + pd.Timedelta(days=41)
    assert found.loc["weekly", "end"] == pd.Timestamp("2026-02-09") + pd.Timedelta(days=41)


def test_outcomes_that_are_no_money_calibrate_nothing(tmp_path):
    rows = draw_arm("calls", 3_000, 3_000).drop(columns=["outcome", "before"]).assign(converted=1.0)
    programs = list_programs(("calls", 100.0, "randomised"), media_channel="tv")
    portfolio, _, _ = write(tmp_path, programs, rows)
    assert list_media_tests(load_unit(portfolio, "shop"))["why_not"].tolist() == [
        "its outcome is not recorded in money"
    ]


def test_the_normal_error_has_the_interval_of_the_student_t():
    assert normal_error(2.0, 3.0) * stats.norm.ppf(0.95) == pytest.approx(2.0 * stats.t.ppf(0.95, 3.0))
    assert normal_error(2.0, 1e6) == pytest.approx(2.0, rel=1e-4)


def test_a_channel_of_media_that_are_not_supplied_is_said(tmp_path):
    programs = list_programs(("sure", 500.0, "randomised"), media_channel="tv")
    portfolio = write_company(tmp_path, programs=programs, assignments=draw_arm("sure", 50, 50))
    found = next(p for p in check_unit(portfolio, "shop").problems if p.kind == "no_media")
    assert found.message == "1 program names a channel of media, but the unit supplies no media"
