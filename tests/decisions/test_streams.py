"""Composite lifetime value: exact where everything is known, correlated where it is not."""

import numpy as np
import pytest

from cvmlib.decisions.streams import CarOwner, draw_streams, sum_streams

SURE = 10**9
KNOWN = CarOwner(
    bought_again=(SURE // 2, SURE), serviced=(SURE // 10 * 9, SURE), financed=(SURE // 4, SURE), cycle_years=4.0,
    term_years=3.0, car=(1000.0, 0.0), service=(200.0, 0.0), financing=(300.0, 0.0),
)  # fmt: skip


def test_streams_of_a_known_owner_are_those_by_hand():
    found = {name: draws.mean() for name, draws in draw_streams(KNOWN, 6.0, 0.0, draws=50).items()}
    assert found["car"] == pytest.approx(1000 * 1.5, rel=1e-3)
    services = sum(0.9**year for year in range(1, 5)) + 0.5 * (0.9 + 0.81)
    assert found["service"] == pytest.approx(200 * services, rel=1e-3)
    assert found["financing"] == pytest.approx(0.25 * 300 * (3 + 0.5 * 2), rel=1e-3)


def test_discounting_takes_each_payment_at_its_time():
    found = draw_streams(KNOWN, 5.0, 0.1, draws=50)
    assert found["car"].mean() == pytest.approx(1000 * (1 + 0.5 * 1.1**-4), rel=1e-3)
    years = np.linspace(0, 3, 200_001)
    first = np.trapezoid(1.1**-years, years)
    again = np.trapezoid(1.1 ** -(4 + years[years <= 1]), years[years <= 1])
    assert found["financing"].mean() == pytest.approx(0.25 * 300 * (first + 0.5 * again), rel=1e-3)


def test_total_is_the_sum_and_wider_than_if_the_streams_were_apart():
    owner = CarOwner((6, 12), (30, 40), (10, 40), 4.0, 3.0, (1000.0, 50.0), (200.0, 10.0), (300.0, 20.0))
    streams = draw_streams(owner, 20.0, 0.05, draws=20_000)
    table = sum_streams(streams).set_index("name")
    assert table["mean"].iloc[:-1].sum() == pytest.approx(table.loc["total", "mean"])
    assert table["share"].iloc[:-1].sum() == pytest.approx(1.0)
    assert (table["moves_with"].iloc[:-1] > 0.1).all()
    apart = np.sqrt(sum(draws.var() for draws in streams.values()))
    together = np.sum(list(streams.values()), axis=0).std()
    assert together > 1.05 * apart


def test_streams_need_the_same_draws():
    with pytest.raises(ValueError, match="a has .3,., b has .2,."):
        sum_streams({"a": np.ones(3), "b": np.ones(2)})
