"""Lift tests: read, held against the tables, and refused where their unit is another than stated."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.media_design import build_design
from cvmlib.attribution.media_lift import arrange_tests, read_tests
from cvmlib.attribution.media_panel import build_panel
from cvmlib.errors import DataError
from tests.attribution.media_worlds import TESTS, as_weeks, simulate

WEEKS = TESTS[1].weeks


@pytest.fixture(scope="module")
def world():
    tables = simulate()
    return build_panel({"shop": as_weeks("shop", tables)}), tables.tests


def one(tests: pd.DataFrame, **changes) -> pd.DataFrame:
    return tests[tests["channel"] == "tv"].assign(**changes)


def test_total_and_weekly_numbers_say_the_same(world):
    panel, tests = world
    weekly = one(tests, basis="weekly")
    weekly[["spend", "lift", "lift_error"]] /= WEEKS
    (total,), (averages,) = read_tests(panel, "shop", one(tests)), read_tests(panel, "shop", weekly)
    assert averages.lift == pytest.approx(total.lift)
    assert averages.error == pytest.approx(total.error)
    assert averages.weeks == total.weeks == WEEKS


def test_weekly_numbers_given_as_total_are_refused(world):
    panel, tests = world
    wrong = one(tests)
    wrong[["spend", "lift", "lift_error"]] /= WEEKS
    with pytest.raises(DataError, match=r"lift_tests, row 1 \(tv\).*media holds.*say basis = \"weekly\""):
        read_tests(panel, "shop", wrong)


def test_totals_given_as_weekly_are_refused(world):
    panel, tests = world
    with pytest.raises(DataError, match=r"read as \"total\" it is"):
        read_tests(panel, "shop", one(tests, basis="weekly"))


def test_weekly_lift_beside_a_total_spend_is_refused_by_the_relative_lift(world):
    panel, tests = world
    test = read_tests(panel, "shop", one(tests))[0]
    sold = panel.outcome[0, test.start : test.start + WEEKS].sum() * panel.series[0].scale * test.share
    relative = test.lift / sold
    assert read_tests(panel, "shop", one(tests, relative_lift=relative))
    wrong = one(tests, relative_lift=relative, lift=test.lift / WEEKS)
    with pytest.raises(DataError, match="a relative lift of .* of the outcome of these weeks is"):
        read_tests(panel, "shop", wrong)


def test_weekly_lift_beside_a_total_spend_is_refused_by_its_return(world):
    panel, tests = world
    test = read_tests(panel, "shop", one(tests))[0]
    wrong = one(tests, lift=0.8 * test.spend / WEEKS, lift_error=0.01 * test.spend)
    with pytest.raises(DataError, match="Put both on one basis, or confirm the lift by its relative_lift"):
        read_tests(panel, "shop", wrong)


def test_no_effect_is_not_refused(world):
    panel, tests = world
    assert read_tests(panel, "shop", one(tests, lift=0.0))[0].measured_return == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"basis": "monthly"}, 'found basis "monthly"; expected "total"'),
        ({"channel": "radio"}, "no spend of this channel.*brand search, print, tv"),
        ({"lift_error": 0.0}, "a lift_error above 0"),
        ({"market_share": 25.0}, "found market_share 25"),
        ({"start": pd.Timestamp("2019-01-07"), "end": pd.Timestamp("2019-02-03")}, "outside the weeks of media"),
        ({"end": pd.Timestamp("2020-01-01")}, "the end not before"),
    ],
)
def test_what_cannot_be_placed_is_said(world, changes, message):
    panel, tests = world
    with pytest.raises(DataError, match=message):
        read_tests(panel, "shop", one(tests, **changes))


def test_all_mistakes_are_said_at_once(world):
    panel, tests = world
    with pytest.raises(DataError) as caught:
        read_tests(panel, "shop", tests.assign(basis="?"))
    assert len(str(caught.value).splitlines()) == len(tests)


def test_control_did_not_spend_within_the_test(world):
    panel, tests = world
    arrays = arrange_tests(build_design(panel), read_tests(panel, "shop", one(tests)))
    current = arrays.control[0, :WEEKS, 0]
    np.testing.assert_allclose(current, 0.0)
    np.testing.assert_allclose(arrays.control[0, 0, 1:], arrays.treated[0, 0, 1:])  # before the test both spent
