"""The programs page: every part is shown, names from data stay text, and every number of the prose is in a table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.programs.results import UnitResult, save_result
from cvmlib.reporting import programs_model_page, programs_page
from cvmlib.reporting import programs_words as words
from tests.programs.company import draw_arm, list_programs, study, write_company
from tests.reporting.shown import HOSTILE, capture


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    arms = [("sure", 4_000, 4_000, 0.4, 1), ("maybe", 600, 600, 0.3, 2), ("broken", 3_000, 4_000, 0.4, 3)]
    assignments = pd.concat([draw_arm(*arm) for arm in [*arms, ("chosen", 2_000, 2_000, 0.9, 5)]])
    assignments["segment"] = np.where(np.arange(len(assignments)) % 3 == 0, "old", "new")
    rows = [("sure", 3_000.0, "randomised"), ("maybe", 900.0, None), ("broken", 1_000.0, "randomised")]
    programs = list_programs(*rows, ("chosen", 500.0, "none"), ("radio", 700.0, None), treated_share=0.5)
    programs.loc[programs["program_id"] == "radio", "label"] = HOSTILE
    weeks = pd.date_range("2025-11-03", periods=16, freq="7D")
    activity = pd.DataFrame({"week": weeks, "kind": "traffic", "count": 100.0, "program_id": "radio"})
    portfolio = write_company(
        tmp_path_factory.mktemp("page"), programs=programs, assignments=assignments, activity=activity
    )
    return portfolio, study(portfolio)[0]


@pytest.fixture
def unit(company) -> UnitResult:
    return company[1].units["shop"]


def test_verdict_says_how_many_work_and_what_is_unknown(unit, monkeypatch):
    seen = capture(monkeypatch)
    programs_page.show_verdict(unit)
    assert "Of 5 programs of shop, 2 are worth scaling" in seen.text
    assert "the verdict on 1 is withheld because its randomisation is broken and 2 were not measured" in seen.text
    assert "2,200 EUR, 36% of the cost on record, went into programs whose effect is not known" in seen.text
    assert "With caution" in seen.text


def test_every_part_is_shown_and_names_stay_text(unit, monkeypatch):
    seen = capture(monkeypatch)
    for part in ("overview", "reasons", "lifts", "value", "regions", "segments", "scorecard", "tests", "unknowns"):
        getattr(programs_page, f"show_{part}")(unit)
    assert HOSTILE not in seen.markup and "alert(1)" in seen.text
    assert {"programs.csv", "lifts.csv", "segments.csv", "scorecard.csv", "next-tests.csv"} <= set(seen.tables)
    table = seen.tables["programs.csv"].set_index("Program")
    assert table.loc["Sure", "Verdict"] == "Scale" and table.loc["Broken", "Verdict"] == "Withheld"
    assert np.isnan(table.loc["Broken", "Margin back per EUR"])
    assert "3,000 customers are treated and 4,000 held back" in seen.prose
    assert "which says nothing about what the program caused" in seen.prose
    assert "programs.design does not say so" in seen.prose
    assert "nobody measured whether it led there" in seen.prose
    assert "No model predicts the value of these customers" in seen.prose


def list_regional(unit: UnitResult, pooled: float) -> UnitResult:
    """The unit with its first program alone, as a regional test."""
    found = {"pooled": pooled, "pooled_low": pooled - 0.03, "pooled_high": pooled + 0.03, "p_value": 0.008}
    results = unit.results.iloc[:1].assign(label="Posters", design="regional", verdict="retest", moved=0.39, **found)
    blocked = unit.tests.iloc[:1].assign(why_not="it runs by regions")
    return replace(unit, results=results, tests=blocked, scorecard=unit.scorecard.assign(counted=""))


@pytest.mark.parametrize(("pooled", "said"), [(0.074, "7.4% more"), (-0.074, "7.4% less")])
def test_a_regional_test_is_told_without_contradiction(unit, monkeypatch, pooled, said):
    seen = capture(monkeypatch)
    posters = list_regional(unit, pooled)
    for part in ("reasons", "regions", "scorecard", "tests", "unknowns"):
        getattr(programs_page, f"show_{part}")(posters)
    prose = seen.prose.replace("\\", "")
    assert f"Its areas brought {said} than expected from the others" in prose
    assert "stray as far or further with a probability of 0.8% (placebo p-value)" in prose
    assert "each taken alone, 39% moved as much" in prose and "how far these areas themselves strayed" in prose
    assert "For no program can the next test be designed" in prose and "No further test is worth" not in prose
    assert "No activity is counted for any program" in prose
    assert "Areas without the program are taken not to be touched by it" in prose and "days after" not in prose
    row = seen.tables["regional-tests.csv"].iloc[0]
    assert (row["Placebo p-value"], row["Untreated areas, each alone, that moved as much"]) == (0.008, 0.39)


def test_programs_that_varied_a_channel_point_to_the_media_mix(unit):
    results = unit.results.assign(
        media_channel=[{"Sure": "tv", "Broken": "print"}.get(n) for n in unit.results["label"]]
    )
    said = dict(words.explain_verdicts(results))
    assert said["Sure"].endswith("It varied the spend on tv: the page on media says what its test tells the media mix.")
    assert said["Broken"].endswith("without a sound test the media mix learns nothing from it.")
    assert sum("media mix" in text for text in said.values()) == 2


def test_numbers_of_the_returns_are_those_of_the_table(unit, monkeypatch):
    seen = capture(monkeypatch)
    programs_page.show_overview(unit)
    best = seen.tables["returns.csv"].iloc[0]
    assert best["Program"] in seen.prose and f"{best['Margin back']:.2f} EUR of margin per EUR spent" in seen.prose
    assert len(seen.images) == 1 and best["Program"] in seen.images[0]


def test_nothing_measured_is_withheld(unit):
    none = {**unit.totals, "verdicts": {"not measured": 2, "withheld": 1}, "programs": 3}
    level, headline = words.judge_page(none)
    assert level == "withheld" and headline.startswith("None of 3 programs of shop can be judged")
    lone = words.judge_page({**unit.totals, "verdicts": {"not measured": 1}, "programs": 1})
    assert lone == ("withheld", "The one program of shop cannot be judged: nothing shows what it caused.")
    assert words.judge_page({**unit.totals, "verdicts": {"scale": 2}, "programs": 2})[0] == "sound"


def test_models_page_criticises_the_pool(company, monkeypatch):
    portfolio, found = company
    seen = capture(monkeypatch)
    programs_model_page.show_checks(found)
    programs_model_page.show_variance(found, portfolio)
    programs_model_page.show_pooling(found, portfolio)
    programs_model_page.show_predictive(found, portfolio)
    programs_model_page.show_sensitivity(found, portfolio)
    programs_model_page.show_placebos(found)
    assert "Broken cannot be put down to chance" in seen.prose
    assert "2 lifts are pooled" in seen.prose and "There is no regional test" in seen.prose
    assert set(seen.tables["sensitivity.csv"]["Program"]) == {"Sure", "Maybe", "Broken"}
    assert {"randomisation.csv", "variance.csv", "pooling.csv"} <= set(seen.tables)


def test_saved_results_are_shown_alike(company, unit, monkeypatch):
    from cvmlib.programs.results import load_result

    save_result(company[0], unit)
    texts = []
    for result in (unit, load_result(company[0], "shop")):
        seen = capture(monkeypatch)
        programs_page.show_overview(result)
        programs_page.show_tests(result)
        texts.append(seen.text)
    assert texts[0] == texts[1]
