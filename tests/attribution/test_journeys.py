"""Touchpoints and conversions become journeys as stated, with every drop counted."""

from datetime import date

import pandas as pd
import pytest

from cvmlib.attribution.prepare import load_unit, prepare_unit
from cvmlib.errors import ConfigError, DataError
from cvmlib.portfolio import read_portfolio

PORTFOLIO = """
[portfolio]
name = "Shop"
source = "data"
end_of_observation = 2026-03-31
currency = "EUR"
discount_rate = 0.1
[units.shop]
setting = "noncontractual"
margin = 0.5
{journeys}
[units.shop.tables.touchpoints]
path = "touchpoints.csv"
[units.shop.tables.conversions]
path = "conversions.csv"
"""


def make_unit(folder, touches, conversions, journeys="", columns=("customer_id", "time", "channel")):
    (folder / "data").mkdir(exist_ok=True)
    (folder / "pyproject.toml").touch()
    pd.DataFrame(touches, columns=list(columns)).to_csv(folder / "data" / "touchpoints.csv", index=False)
    frame = pd.DataFrame(conversions, columns=["customer_id", "time", "value"])
    frame.to_csv(folder / "data" / "conversions.csv", index=False)
    (folder / "shop.toml").write_text(PORTFOLIO.format(journeys=journeys), encoding="utf-8")
    return read_portfolio(folder / "shop.toml")


def counted(unit):
    paths = unit.paths
    return {
        text: (int(c), int(n), float(v))
        for text, c, n, v in zip(paths.texts(), paths.conversions, paths.nulls, paths.value, strict=True)
    }


def finding(unit, words):
    found = unit.findings[unit.findings["what"].str.contains(words, regex=False)]
    assert len(found) == 1, list(unit.findings["what"])
    return int(found["number"].iloc[0])


TOUCHES = [
    ("a", "2026-03-01 10:00", "social"),
    ("a", "2026-03-01 10:10", "social"),  # the same visit
    ("a", "2026-03-05 09:00", "search"),
    ("a", "2026-03-07 09:00", "email"),  # after the first conversion: the second journey
    ("a", "2026-03-12 09:00", "social"),  # after the last: a journey without a conversion
    ("b", "2026-01-01 08:00", "display"),  # a silence of more than 30 days ends the journey
    ("b", "2026-03-01 08:00", "search"),
    ("c", "2026-02-01 08:00", "display"),  # outside the window of c's conversion
    ("c", "2026-02-27 08:00", "social"),
    ("c", "2026-03-20 08:00", "search"),
    ("", "2026-03-20 08:00", "search"),
    ("d", "2026-03-20 08:00", ""),
    ("d", "2026-04-20 08:00", "email"),
    ("d", "tomorrow", "email"),
]
CONVERSIONS = [
    ("a", "2026-03-06 12:00", 50),
    ("a", "2026-03-08 12:00", 70),
    ("c", "2026-03-21 08:00", 30),
    ("e", "2026-03-21 08:00", 99),  # nobody saw e before
    ("c", "2026-03-25 08:00", -30),
    ("c", "2026-05-25 08:00", 10),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return load_unit(make_unit(tmp_path_factory.mktemp("shop"), TOUCHES, CONVERSIONS), "shop")


def test_paths_are_those_worked_out_by_hand(shop):
    assert counted(shop) == {
        "social > search": (2, 0, 80.0),  # a's first, and c's
        "email": (1, 0, 70.0),
        "social": (0, 1, 0.0),
        "display": (0, 1, 0.0),
        "search": (0, 1, 0.0),
    }


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("touchpoints with no customer", 1),
        ("touchpoints with no channel", 1),
        ("touchpoints with no time", 1),
        ("touchpoints after the end of observation", 1),
        ("conversions with a negative value", 1),
        ("conversions after the end of observation", 1),
        ("within 30 minutes of the one before", 1),
        ("more than 30 days before the end of their journey", 1),
        ("touches that came after a conversion", 2),
        ("customers who converted more than once", 1),
        ("conversions without a touch in the 30 days before", 1),
        ("journeys without a conversion", 3),
        ("still open", 1),
        ("channels seen only in journeys that did not convert: display", 1),
    ],
)
def test_every_drop_is_told_with_its_number(shop, words, number):
    assert finding(shop, words) == number


def test_money_without_a_journey_is_told(shop):
    row = shop.findings[shop.findings["what"].str.startswith("conversions without")].iloc[0]
    assert row["money"] == 99 and row["treatment"] == "no journey: no channel is credited"


def test_recency_weights_add_up_to_the_conversions(shop):
    assert shop.paths.recency.sum() == pytest.approx(3)
    start = shop.paths.offsets[shop.paths.texts().index("social > search")]
    first, last = shop.paths.recency[start : start + 2]
    # a: 5.083 and 1.125 days before the end; c: 22 and 1 days; half-life 7 days
    a, c = 2 ** (-5.0833333 / 7), 2 ** (-22 / 7)
    expected = a / (a + 2 ** (-1.125 / 7)) + c / (c + 2 ** (-1 / 7))
    assert first == pytest.approx(expected, rel=1e-6) and last == pytest.approx(2 - expected, rel=1e-6)


def test_settings_change_what_a_journey_is(tmp_path):
    journeys = "[units.shop.journeys]\nlookback_days = 100\nsession_minutes = 0\nlongest_journey = 2"
    unit = load_unit(make_unit(tmp_path, TOUCHES, CONVERSIONS, journeys), "shop")
    assert "display > search" in counted(unit) and counted(unit)["social > search"][0] == 2
    assert finding(unit, "touches beyond the latest 2 of a journey, of customers such as a, c") == 2


def test_ten_thousand_touches_of_one_customer(tmp_path):
    start = pd.Timestamp("2026-03-20")
    robot = [("robot", str(start + pd.Timedelta(minutes=i)), f"c{i % 3}") for i in range(10_000)]
    unit = load_unit(make_unit(tmp_path, [*robot, *TOUCHES], CONVERSIONS), "shop")
    assert unit.paths.lengths.max() == 100
    assert finding(unit, "touches beyond the latest 100 of a journey, of customers such as robot") == 9_900


def test_small_channels_are_counted_together_and_told(tmp_path):
    unit = load_unit(make_unit(tmp_path, TOUCHES, CONVERSIONS, "[units.shop.journeys]\nmost_channels = 2"), "shop")
    assert "other channels" in unit.paths.channels
    assert len(unit.paths.channels) == 2 and finding(unit, "smallest channels: ") == 3


def test_unknown_stages_are_told_and_placed_by_name(tmp_path):
    touches = [
        ("a", "2026-03-01", "tv", "discover"),
        ("a", "2026-03-02", "email", "nirvana"),
        ("b", "2026-03-02", "Q", ""),
    ]
    columns = ("customer_id", "time", "channel", "stage")
    portfolio = make_unit(tmp_path, touches, [("a", "2026-03-03", 5)], columns=columns)
    unit = load_unit(portfolio, "shop")
    assert dict(zip(unit.kinds["channel"], unit.kinds["stage"], strict=True)) == {
        "tv": "discover", "email": "engage", "Q": "not placed"
    }  # fmt: skip
    row = unit.findings[unit.findings["what"].str.contains("unknown stage")].iloc[0]
    assert "“nirvana”" in row["what"] and "discover, explore, engage, buy" in row["treatment"]
    assert finding(unit, "channels without a stage: Q") == 1


def test_the_portfolio_file_places_channels(tmp_path):
    journeys = '[units.shop.journeys.stages]\nsearch = "buy"\n[units.shop.journeys.purposes]\nsearch = "engage"'
    unit = load_unit(make_unit(tmp_path, TOUCHES, CONVERSIONS, journeys), "shop")
    row = unit.kinds.set_index("channel").loc["search"]
    assert (row["stage"], row["purpose"]) == ("buy", "engage")


def test_an_unknown_stage_in_the_portfolio_file_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r'units.shop.journeys.stages.search: found "purchase"; allowed is "discover"'
    ):
        make_unit(tmp_path, TOUCHES, CONVERSIONS, '[units.shop.journeys.stages]\nsearch = "purchase"')


@pytest.mark.parametrize(
    ("touches", "conversions", "message"),
    [
        ([("a", "2026-05-01", "tv")], CONVERSIONS, "Table touchpoints: no row is usable"),
        (
            TOUCHES,
            [("a", "2026-05-01", 3)],
            "Table conversions: no row is usable, so none of the journeys of 3 customers",
        ),
        (
            TOUCHES,
            [("A-7", "2026-03-01", 3)],
            r"none of the 1 customers in conversions \(A-7 …\) has a row in touchpoints",
        ),
    ],
)
def test_logs_without_journeys_are_refused(tmp_path, touches, conversions, message):
    portfolio = make_unit(tmp_path, touches, conversions)
    written = prepare_unit(portfolio, "shop")
    assert [path.name for path in written] == ["journeys.json"]
    with pytest.raises(DataError, match=message):
        load_unit(portfolio, "shop")


def test_a_unit_without_tables_says_what_to_supply(tmp_path):
    portfolio = make_unit(tmp_path, TOUCHES, CONVERSIONS)
    unit = portfolio.units["shop"]
    without = unit.model_copy(update={"tables": {"conversions": unit.tables["conversions"]}})
    portfolio = portfolio.model_copy(update={"units": {"shop": without}})
    assert prepare_unit(portfolio, "shop") == []
    with pytest.raises(DataError, match="supply touchpoints and conversions, or paths"):
        load_unit(portfolio, "shop")


READY = """
[portfolio]
name = "Shop"
source = "data"
end_of_observation = 2026-03-31
currency = "EUR"
discount_rate = 0.1
[units.shop]
setting = "noncontractual"
margin = 0.5
[units.shop.tables.paths]
path = "paths.csv"
columns = { conversions = "total" }
"""


def test_ready_paths_give_the_same_counts(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "pyproject.toml").touch()
    rows = [("tv > email", 3, 20, 5), ("email", 1, 7, 9), ("tv > email", 1, 5, 0), ("", 4, 1, 1), ("tv", -2, 0, 1)]
    frame = pd.DataFrame(rows, columns=["path", "total", "value", "nulls"])
    frame.to_csv(tmp_path / "data" / "paths.csv", index=False)
    (tmp_path / "shop.toml").write_text(READY, encoding="utf-8")
    unit = load_unit(read_portfolio(tmp_path / "shop.toml"), "shop")
    assert unit.source == "paths" and unit.paths.recency is None
    assert counted(unit) == {"email": (1, 9, 7.0), "tv > email": (4, 5, 25.0)}
    assert finding(unit, "paths with no path") == 1
    assert finding(unit, "paths with a count of conversions that is negative or no number") == 1
    assert dict(zip(unit.kinds["channel"], unit.kinds["stage"], strict=True)) == {"email": "engage", "tv": "discover"}
    assert date(2026, 3, 31) == read_portfolio(tmp_path / "shop.toml").end_of_observation
