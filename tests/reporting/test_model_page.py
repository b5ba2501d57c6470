"""The page of the customer-value models: one sentence per unit, all checks, and nothing of a withheld forecast."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import criticism
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.judgement import Trial
from cvmlib.clv.near_rows import Merging
from cvmlib.clv.validation import Check, Holdout, Verdict
from cvmlib.inference import Diagnostics
from cvmlib.reporting import model_page
from tests.reporting.shown import HOSTILE, TRICKY, capture, money_forms

PASSED = Check("timing of purchases", "pass", "Purchases are timed nearly at random.")
DOUBTED = Check("repeat buyers", "warn", "Only 12 customers bought again.")
FAILED = Check("holdout total", "fail", "The model forecast 900; 400 happened: totals cannot be relied on.")
SOUND, CAUTION, WITHHELD = Verdict((PASSED,)), Verdict((PASSED, DOUBTED)), Verdict((PASSED, FAILED))
ROWS = pd.DataFrame(
    {"frequency": [0, 1, 5], "recency": [0.0, 30.0, 300.0], "T": [400.0, 400.0, 400.0], "customers": [60, 30, 10]}
)
PORTFOLIO = SimpleNamespace(currency="EUR", horizon_months=12, interval=0.9)


class FakePrediction:
    """Totals of a forecast."""

    def __init__(self, value: float) -> None:
        self.totals = {
            "purchases": {"mean": 440.3, "low": 358.0, "high": 517.0},
            "value": {"mean": value, "low": value * 0.9, "high": value * 1.1},
        }

    def total(self, name: str) -> dict[str, float]:
        return self.totals[name]


def make_bases(**labels: str) -> dict[str, SimpleNamespace]:
    """Return units that bought by rhythm, as their gaps say, of 100 customers in three count rows."""
    gaps = pd.DataFrame({"frequency": [4], "recency": [40.0], "customers": [200]})
    gaps = gaps.assign(squares=200 * 4 * 10.5**2, squares_squared=200 * (4 * 10.5**2) ** 2 * 1.0001)
    return {
        name: SimpleNamespace(
            unit=SimpleNamespace(name=name, label=label, opportunity=None),
            gaps=gaps,
            count_rows=lambda: ROWS,
            end=date(2026, 6, 30),
        )
        for name, label in labels.items()
    }


def make_models(constant: dict[str, float] | None = None, spend: bool = True) -> SimpleNamespace:
    converged = Diagnostics(1.003, 900, 850, 0, "rate[shop]")
    failed = Diagnostics(1.2, 90, 85, 3, "p[shop]")
    return SimpleNamespace(
        fits={"bg_nbd": SimpleNamespace(diagnostics=converged, family=BG_NBD, merging=Merging(90, 40, 0.1, 0.9))},
        spend=SimpleNamespace(diagnostics=failed if spend else None, constant=constant or {}, merging=None),
    )


@pytest.mark.parametrize(
    ("verdicts", "level", "headline"),
    [
        ({"a": SOUND, "b": SOUND}, "Sound", "The models passed all checks on every unit."),
        ({"a": SOUND, "b": CAUTION}, "With caution", "some checks passed with reservations"),
        ({"a": CAUTION, "b": WITHHELD}, "Withheld", "The models fail a check on at least one unit."),
    ],
)
def test_the_worst_unit_decides_the_verdict(monkeypatch, verdicts, level, headline):
    seen = capture(monkeypatch)
    model_page.show_verdict(make_bases(a="Alpha", b="Beta"), verdicts)
    assert f"Verdict: {level}" in seen.markup and headline in seen.prose
    assert "Alpha: the forecast" in seen.prose and "Beta: the forecast" in seen.prose


@pytest.mark.parametrize("name", [HOSTILE, TRICKY])
def test_names_from_data_are_text(monkeypatch, name):
    seen = capture(monkeypatch)
    bases, verdicts = make_bases(a=name), {"a": CAUTION}
    model_page.show_verdict(bases, verdicts)
    model_page.show_all_checks(bases, verdicts)
    model_page.show_forecasts(PORTFOLIO, bases, {"a": FakePrediction(14_415.0)}, verdicts)
    assert "<script" not in seen.markup and "<math" not in seen.markup and "<em>" not in seen.markup
    assert f"{name}: the forecast is usable with caution." in seen.prose
    assert set(seen.tables["checks.csv"]["Unit"].str.lstrip("'")) == {name}


def test_counts_say_what_became_of_the_customers(monkeypatch):
    seen = capture(monkeypatch)
    model_page.show_counts(make_bases(a="Alpha", b="Beta"))
    assert "200 customers became 6 count rows" in seen.prose
    table = seen.tables["count-rows.csv"]
    assert table["Who bought again"].tolist() == [40, 40] and table["Mean age (days)"].tolist() == [400.0, 400.0]


def test_timing_shows_rhythm_or_says_that_there_is_too_little(monkeypatch):
    seen = capture(monkeypatch)
    model_page.show_timing(make_bases(a="Alpha"))
    assert seen.tables["timing.csv"]["Erlang shape k"].iloc[0] > 2
    assert "1 is random timing" in seen.images[0]
    bases = make_bases(a="Alpha")
    bases["a"].gaps = bases["a"].gaps.assign(customers=3)
    few = capture(monkeypatch)
    model_page.show_timing(bases)
    assert "Too few customers bought three times or more" in few.prose


def test_convergence_in_words(monkeypatch):
    seen = capture(monkeypatch)
    fits = {"calibration": None, "whole history": make_models({"shop": 9.99})}
    model_page.show_convergence(fits)
    assert "calibration: not fitted, because the history is too short" in seen.prose
    assert "whole history, purchases by BG/NBD: The sampler converged: largest R-hat 1.003 (rate[shop])" in seen.prose
    assert "Sampled on 40 rows of nearly alike customers, and weighted to the posterior of all 90" in seen.prose
    assert "whole history, spend: The sampler did not converge" in seen.prose
    assert "every purchase has one price in shop (9.99)" in seen.prose
    constant = capture(monkeypatch)
    model_page.show_convergence({"whole history": make_models(spend=False)})
    assert "spend" not in constant.prose


def test_frequencies_are_counted_inside_the_interval(monkeypatch):
    classes = pd.DataFrame(
        {"frequency": ["0", "1", "2"], "actual": [90, 50, 9], "expected": [88.0, 40.0, 9.5], "low": [80.0, 35.0, 5.0],
         "high": [95.0, 46.0, 14.0]}
    )  # fmt: skip
    monkeypatch.setattr(criticism, "check_frequencies", lambda base, models, seed: classes)
    seen = capture(monkeypatch)
    model_page.show_all_frequencies(make_bases(a="Alpha", b=HOSTILE), make_models(), 1)
    assert "Alpha: customers by repeat purchases. In 2 of 3 classes the actual number lies in the 90%" in seen.images[0]
    assert seen.images[1].startswith(HOSTILE) and "<script" not in seen.markup
    assert list(seen.tables) == ["frequencies-a.csv", "frequencies-b.csv"]


def test_trials_show_the_scores_of_the_holdout(monkeypatch):
    scores = Holdout(84, 144.0, 157.9, 105.0, 213.0, 1.65, 2.26, 0.43, 0.976, 0.9)
    frame = pd.DataFrame()
    seen = capture(monkeypatch)
    model_page.show_trials({"a": Trial(scores, *[frame] * 5), "b": None})
    table = seen.tables["holdout.csv"]
    assert table["Unit"].tolist() == ["a"] and table["Bias"].iloc[0] == pytest.approx(157.9 / 144 - 1)
    nobody = capture(monkeypatch)
    model_page.show_trials({"a": None})
    assert "No unit has a history long enough" in nobody.prose and nobody.tables == {}


def test_holdout_in_which_nobody_bought_has_no_bias(monkeypatch):
    scores = Holdout(84, 0.0, 3.0, 0.0, 6.0, 0.1, 0.2, np.nan, 0.976, 0.9)
    seen = capture(monkeypatch)
    model_page.show_trials({"a": Trial(scores, *[pd.DataFrame()] * 5)})
    assert "nan" not in seen.text and seen.tables["holdout.csv"]["Bias"].isna().all()


def test_all_checks_are_listed_with_their_outcomes(monkeypatch):
    seen = capture(monkeypatch)
    model_page.show_all_checks(make_bases(a="Alpha", b="Beta"), {"a": CAUTION, "b": WITHHELD})
    table = seen.tables["checks.csv"]
    assert table["Outcome"].tolist() == ["passed", "with reservations", "passed", "failed"]
    assert table["What was found"].iloc[3] == FAILED.sentence


def test_withheld_forecasts_are_left_out(monkeypatch):
    bases = make_bases(a="Alpha", b="Beta")
    predictions = {"a": FakePrediction(14_415.1), "b": FakePrediction(8_642_135.7)}
    seen = capture(monkeypatch)
    model_page.show_forecasts(PORTFOLIO, bases, predictions, {"a": SOUND, "b": WITHHELD})
    assert seen.tables["forecasts.csv"]["Unit"].tolist() == ["Alpha"]
    assert "14,415" in seen.text and not [form for form in money_forms(8_642_135.7) if form in seen.text]
    none = capture(monkeypatch)
    model_page.show_forecasts(PORTFOLIO, bases, predictions, {"a": WITHHELD, "b": WITHHELD})
    assert "The forecast of every unit is withheld." in none.prose and none.tables == {}
