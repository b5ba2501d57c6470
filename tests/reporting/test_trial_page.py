"""Whether forecasts of single customers kept their promises, in words, tables and figures."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.clv import scores
from cvmlib.clv.judgement import Trial
from cvmlib.reporting import trial_page
from tests.reporting.saved import make_totals, make_unit
from tests.reporting.shown import capture


def scored(factor: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rate = rng.gamma(0.8, 1.0, 4000)
    return scores.score_rows(rng.poisson(factor * rate, (100, 4000)), rng.poisson(rate))


def make_trial(factor: float = 1.0) -> Trial:
    rows, n = scored(factor), np.ones(4000)
    again = scores.tabulate_again(rows["again"], rows["actual"] > 0, n)
    none = pd.DataFrame()
    return Trial(None, none, none, again, scores.tabulate_pit(rows, n), scores.tabulate_coverage(rows, n))


def test_the_chance_of_buying_again(monkeypatch):
    unit, trial = make_unit(), make_trial()
    seen = capture(monkeypatch)
    trial_page.show_again(unit)
    assert seen.parts == []
    trial_page.show_again(replace(unit, again=trial.again))
    table = seen.tables["chance-of-buying-again.csv"]
    assert len(table) == len(trial.again) and table["Customers"].sum() == 4000
    told = seen.prose
    inside = (
        (trial.again["predicted"] >= trial.again["low"]) & (trial.again["predicted"] <= trial.again["high"])
    ).sum()
    assert inside >= 7 and f"In {inside} of the groups" in told
    wrong = trial_page.describe_again(make_trial(3.0).again)
    assert "In 0 of the groups" in wrong or "In 1 of the groups" in wrong


def test_the_distributions_of_every_unit(monkeypatch):
    seen = capture(monkeypatch)
    trial_page.show_distributions({"a": "<i>Alpha</i>", "b": "Beta"}, {"a": make_trial(), "b": None})
    assert "<i>" not in seen.markup and "A right forecast is flat" in seen.text
    assert seen.tables["coverage.csv"]["Level"].tolist() == [0.5, 0.8, 0.9]
    assert set(seen.tables) >= {"pit-a.csv", "chance-of-buying-again.csv"}


def test_how_many_buy_how_often(monkeypatch):
    seen = capture(monkeypatch)
    trial_page.show_buyers(make_unit("withheld"))
    assert seen.parts == []
    trial_page.show_buyers(make_unit())
    table = seen.tables["expected-buyers.csv"]
    assert table["Purchases"].astype(str).tolist() == ["0", "1", "2", "3 or more"]
    text = trial_page.describe_buyers(make_totals())
    assert text.startswith("Of the 240 customers, 40% are expected not to buy in the next 12 months.")
    assert "another 1,230 EUR" in text
