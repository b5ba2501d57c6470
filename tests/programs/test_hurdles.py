"""The hurdle of the portfolio file: read, refused where it is wrong, and heard in verdicts and on the page."""

import pandas as pd
import pytest

from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.programs.study import Settings, study_programs
from cvmlib.reporting import programs_tables as tables
from cvmlib.reporting import programs_words as words
from tests.programs.company import draw_arm, list_programs, study, write_company

NAMES = ("mild", "strict", "plain")


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    rows = pd.concat([draw_arm(name, 4_000, 4_000, 0.3, 5).assign(program_id=name) for name in NAMES])
    programs = list_programs(*((name, 15_000.0, "randomised") for name in NAMES), treated_share=0.5)
    portfolio = write_company(tmp_path_factory.mktemp("company"), programs=programs, assignments=rows)
    study(portfolio)
    return portfolio


def ask(portfolio: Portfolio, settings: str) -> Portfolio:
    text = portfolio.path.read_text(encoding="utf-8").split("[units.shop.programs]")[0]
    portfolio.path.write_text(f"{text.rstrip()}\n[units.shop.programs]\n{settings}\n", encoding="utf-8")
    return read_portfolio(portfolio.path)


def test_verdicts_hear_the_hurdle_of_the_unit_and_of_single_programs(company):
    plain = study_programs(company, ["shop"]).units["shop"]
    asked = study_programs(
        ask(company, "hurdle_return = 0.25\nhurdle_returns = { strict = 4.0, plain = 0.0 }"), ["shop"]
    )
    before, after = (found.results.set_index("program_id") for found in (plain, asked.units["shop"]))
    assert plain.totals["hurdles"] == [1.0] and before["hurdle"].tolist() == [1.0] * 3
    assert after["hurdle"].to_dict() == {"mild": 1.25, "strict": 5.0, "plain": 1.0}
    assert after.loc["strict", "verdict"] == "stop" and "5 times its cost" in after.loc["strict", "reason"]
    assert after.loc["plain", "probability"] == pytest.approx(before.loc["plain", "probability"])
    assert after.loc["mild", "probability"] < before.loc["mild", "probability"]
    assert after.loc["mild", "gain"] == pytest.approx(before.loc["mild", "gain"])  # what it brought is what it brought
    draws = asked.units["shop"].draws["mild"]
    needed = 1.25 * after.loc["mild", "cost"] / (0.5 * after.loc["mild", "base"] * 4_000)
    assert after.loc["mild", "probability"] == pytest.approx((draws > needed).mean(), abs=0.06)  # 1,000 draws


def test_the_page_says_what_is_asked_for(company):
    found = study_programs(ask(company, "hurdle_return = 0.2\nhurdle_returns = { strict = 4.0 }"), ["shop"]).units[
        "shop"
    ]
    text = words.describe_returns(found.results, found.totals)
    assert "asked for 1.20 EUR of margin per EUR spent; some of 5.00, as the table says" in text
    assert words.name_hurdle(found.totals) == "asked of most: 1.2"
    table, _ = tables.overview_table(found.results, "EUR", 0.9)
    assert sorted(table["Asked for per EUR"]) == [1.2, 1.2, 5.0]
    usual = study_programs(ask(company, "hurdle_return = 0.0"), ["shop"]).units["shop"]
    assert words.describe_hurdle(usual.totals) == "" and words.name_hurdle(usual.totals) == "asked for: 1"


def test_the_notebook_can_ask_otherwise(company):
    found = study_programs(ask(company, "hurdle_return = 0.2"), ["shop"], Settings(hurdle=3.0)).units["shop"]
    assert found.results["hurdle"].tolist() == [3.0] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('hurdle_return = "20 %"', 'programs.hurdle_return: found "20 %"; allowed is a number above -1'),
        ("hurdle_return = -1", "found -1; allowed is a number above -1"),
        ("hurdle_return = true", "found true; allowed is a number above -1"),
        ("hurdle_returns = { mild = nan }", "hurdle_returns.mild: found nan; allowed is a number above -1"),
        ("hurdle = 0.2", "unknown key. Did you mean hurdle_return"),
    ],
)
def test_a_wrong_hurdle_is_a_mistake_of_the_file(company, settings, message):
    with pytest.raises(ConfigError, match=message):
        ask(company, settings)


def test_a_hurdle_of_an_unknown_program_is_said(company):
    portfolio = ask(company, "hurdle_returns = { milld = 0.2 }")
    with pytest.raises(
        ConfigError, match=r"units.shop.programs.hurdle_returns: found milld, .*are mild, plain, strict"
    ):
        study_programs(portfolio, ["shop"])
