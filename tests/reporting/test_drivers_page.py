"""What drives the value, in words, figures and tables."""

from dataclasses import replace

import pandas as pd

from cvmlib.reporting import drivers_page
from cvmlib.reporting.value_page import WITHHELD
from tests.reporting.saved import make_totals, make_unit
from tests.reporting.shown import capture

NEW = {
    "value": 41.2,
    "first": 20.1,
    "purchases": 1.3,
    "expected_low": 38.4,
    "expected_high": 44.9,
    "low": 6,
    "high": 99,
}
KINDS = [
    NEW | {"covariate": "", "level": ""},
    NEW | {"covariate": "channel", "level": "<b>tv</b>", "value": 61.0},
    NEW | {"covariate": "channel", "level": "search", "value": 31.0},
]


def effects(spread: float = 0.1) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "covariate": "channel",
            "level": ["<b>tv</b>", "search"] * 2,
            "customers": [100, 140] * 2,
            "measure": ["purchase rate ratio"] * 2 + ["dropout odds ratio"] * 2,
            "ratio": [1.4, 0.8, 1.05, 0.97],
        }
    )
    return table.assign(low=table["ratio"] - spread, high=table["ratio"] + spread)


def test_the_clearest_difference_and_the_best_newcomer(monkeypatch):
    unit = replace(make_unit(newcomers=KINDS), effects=effects())
    seen = capture(monkeypatch)
    drivers_page.show_drivers(unit)
    assert "have 1.40 times the purchase rate of the mean customer (90% interval 1.30 to 1.50)" in seen.prose
    assert "is worth most, 61.0 EUR" in seen.prose and "search least, 31.0 EUR" in seen.prose
    assert "&lt;b&gt;tv" in seen.markup
    assert {"drivers-purchase-rate-ratio.csv", "drivers-dropout-odds-ratio.csv", "newcomers.csv"} <= set(seen.tables)
    assert len(seen.tables["newcomers.csv"]) == 2
    vague = drivers_page.describe_drivers(effects(2.0), KINDS[:1], "EUR")
    assert vague.startswith("No kind of customer differs clearly")


def test_without_covariates_it_says_what_to_name(monkeypatch):
    seen = capture(monkeypatch)
    drivers_page.show_drivers(make_unit())
    assert "name columns of the table customers as covariates" in seen.prose
    withheld = capture(monkeypatch)
    drivers_page.show_drivers(make_unit("withheld"))
    assert withheld.prose == WITHHELD and make_totals()["newcomers"]
