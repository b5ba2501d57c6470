"""The regularity of purchases against enumeration, and against simulated rhythms."""

from datetime import date, timedelta
from itertools import pairwise
from math import comb

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_purchases
from cvmlib.clv.timing import MOST, Regularity, count_gaps, estimate_regularity, expected_squares

START, END = date(2024, 1, 1), date(2025, 12, 31)
PERIODS = 730


def compositions(n: int, parts: int):
    """All ways to write n as an ordered sum of `parts` whole numbers of at least one."""
    if parts == 1:
        yield (n,)
        return
    for first in range(1, n - parts + 2):
        for rest in compositions(n - first, parts - 1):
            yield (first, *rest)


@pytest.mark.parametrize(("x", "n"), [(2, 2), (2, 3), (2, 15), (3, 3), (3, 10), (4, 12), (6, 14)])
def test_poisson_gaps_by_enumeration(x, n):
    every = [sum(g * g for g in gaps) for gaps in compositions(n, x)]
    assert expected_squares(1.0, x, n) == pytest.approx(np.mean(every), rel=1e-12)


@pytest.mark.parametrize("k", [0.4, 1.0, 3.0])
def test_rhythmic_gaps_by_simulation(k):
    rng = np.random.default_rng(6)
    x, n = 5, 60
    gaps = 1 + np.array([rng.multinomial(n - x, share) for share in rng.dirichlet(np.full(x, k), 40_000)])
    squares = (gaps**2).sum(axis=1)
    assert expected_squares(k, x, n) == pytest.approx(squares.mean(), abs=4 * squares.std() / 200)


def buying(k: float, seed: int, customers: int = 150, rate: float = 1 / 30) -> pd.DataFrame:
    """Purchases with Erlang-k gaps at each customer's own rate, until the end or an early dropout."""
    rng = np.random.default_rng(seed)
    rates = rate * rng.gamma(2.0, 0.5, customers)
    gaps = rng.gamma(k, 1.0 / k, (customers, 300)) / rates[:, None]
    times = rng.uniform(0, 300, customers)[:, None] + np.cumsum(gaps, axis=1)
    leave = rng.geometric(rng.beta(1.0, 8.0, customers))
    seen = (times < PERIODS) & (np.arange(300) < leave[:, None] + 1)
    customer, place = np.nonzero(seen)
    days = pd.Timestamp(START) + pd.to_timedelta(times[customer, place], unit="D").round("s")
    return pd.DataFrame({"customer_id": customer.astype(str), "date": days, "value": 1.0})


def regularity(log: pd.DataFrame, end: date = END, unit: str = "day") -> Regularity | None:
    return estimate_regularity(count_gaps(count_purchases(ibis.memtable(log), unit), end, unit).to_pandas())


def uniform_squares(x: int, n: int) -> float:
    """Expected sum of squares of a uniform composition of n into x parts, from the moments of one part."""
    total = comb(n - 1, x - 1)
    return x * sum(g * g * comb(n - g - 1, x - 2) for g in range(1, n - x + 2)) / total


def fast_gaps(log: pd.DataFrame) -> pd.DataFrame:
    """The table of `count_gaps` in plain Python, which also serves as its oracle."""
    rows = {}
    days = (log["date"] - pd.Timestamp(START)).dt.days
    for _, at in days.groupby(log["customer_id"]):
        at = sorted(set(at))
        if len(at) < 3:
            continue
        squares = min(sum((b - a) ** 2 for a, b in pairwise(at)), MOST * uniform_squares(len(at) - 1, at[-1] - at[0]))
        entry = rows.setdefault((len(at) - 1, at[-1] - at[0]), [0, 0.0, 0.0])
        entry[0] += 1
        entry[1] += squares
        entry[2] += squares**2
    columns = ["frequency", "recency", "customers", "squares", "squares_squared"]
    return pd.DataFrame([(*key, *entry) for key, entry in sorted(rows.items())], columns=columns)


def test_gaps_of_a_log():
    log = buying(1.0, seed=9)
    found = count_gaps(count_purchases(ibis.memtable(log)), END).to_pandas()
    pd.testing.assert_frame_equal(found, fast_gaps(log), check_dtype=False)
    assert found["customers"].sum() > 60


def test_gaps_end_with_the_observation():
    log = buying(1.0, seed=9)
    end = date(2025, 3, 9)
    before = log[log["date"] < pd.Timestamp(end) + timedelta(days=1)]
    found = count_gaps(count_purchases(ibis.memtable(log)), end).to_pandas()
    pd.testing.assert_frame_equal(found, fast_gaps(before), check_dtype=False)
    assert len(found) < len(fast_gaps(log))


def test_gaps_in_weeks_and_hours():
    at = pd.to_datetime(["2024-01-01 10:30", "2024-01-14 23:00", "2024-01-15 00:10", "2024-03-04 09:00"])
    log = pd.DataFrame({"customer_id": "a", "date": at, "value": 1.0})
    weeks = count_gaps(count_purchases(ibis.memtable(log), "week"), END, "week").to_pandas()
    assert weeks.to_numpy().tolist() == [[3, 9, 1, 1 + 1 + 49, 51**2]]
    hours = count_gaps(count_purchases(ibis.memtable(log), "hour"), END, "hour").to_pandas()
    gaps = [13 * 24 + 13, 1, 49 * 24 + 9]
    squares = sum(g**2 for g in gaps)
    assert hours.to_numpy().tolist() == [[3, sum(gaps), 1, squares, squares**2]]


@pytest.mark.parametrize("k", [1.0, 2.0])
def test_recovers_the_erlang_shape(k):
    found = regularity(buying(k, seed=3, customers=1500))
    assert found.low <= k <= found.high
    assert found.k == pytest.approx(k, rel=0.06)
    assert found.high / found.low < 1.15 and found.customers > 500


@pytest.mark.parametrize(("k", "gap", "reads"), [(4.0, 30, 4.3), (4.0, 7, 5.6), (0.3, 30, 0.41), (0.3, 7, 0.45)])
def test_far_from_random_it_reads_as_documented(k, gap, reads):
    found = estimate_regularity(fast_gaps(buying(k, seed=3, customers=600, rate=1 / gap)))
    assert found.k == pytest.approx(reads, rel=0.12)


def test_random_timing_is_seldom_taken_for_rhythm():
    """The 90% interval of a Poisson process holds 1 in about 180 of 200 logs."""
    found = [estimate_regularity(fast_gaps(buying(1.0, seed=seed))) for seed in range(200)]
    held = sum(r.low <= 1.0 <= r.high for r in found)
    assert 167 <= held <= 194  # 180 +- 3 standard deviations and a little for the approximation
    below, above = sum(r.high < 1.0 for r in found), sum(r.low > 1.0 for r in found)
    assert min(below, above) >= 1


def test_regular_timing_is_told_from_random():
    found = [estimate_regularity(fast_gaps(buying(4.0, seed=seed))) for seed in range(10)]
    assert all(r.low > 2.0 for r in found)
    clustered = [estimate_regularity(fast_gaps(buying(0.2, seed=seed))) for seed in range(10)]
    assert all(r.high < 0.8 for r in clustered)


def test_one_stray_row_does_not_hide_the_rhythm_of_the_others():
    log = buying(3.0, seed=4, customers=300, rate=1 / 7)
    days = log.groupby("customer_id")["date"].agg(["size", "max"])
    early = days[days["max"] < pd.Timestamp("2024-12-31")]["size"].idxmax()
    stray = pd.DataFrame({"customer_id": [early], "date": [pd.Timestamp("2025-12-30")], "value": [0.0]})
    clean, dirty = regularity(log), regularity(pd.concat([log, stray], ignore_index=True))
    assert clean.low > 2.0 and dirty.low > 2.0
    assert dirty.k == pytest.approx(clean.k, rel=0.25)


def test_clockwork_and_bursts_end_at_the_bounds():
    clockwork = pd.DataFrame({"frequency": [9], "recency": [90], "customers": [40]})
    clockwork = clockwork.assign(squares=40 * 900.0, squares_squared=40 * 900.0**2)
    found = estimate_regularity(clockwork)
    assert found.low == found.k == found.high == pytest.approx(200.0)
    bursts = clockwork.assign(squares=40 * (8 + 82.0**2), squares_squared=40 * (8 + 82.0**2) ** 2)
    found = estimate_regularity(bursts)
    assert found.k == found.low == pytest.approx(0.02) and found.high < 0.1


def test_too_few_customers_tell_nothing():
    gaps = pd.DataFrame({"frequency": [3], "recency": [40], "customers": [19]})
    gaps = gaps.assign(squares=19 * 600.0, squares_squared=19 * 600.0**2)
    assert estimate_regularity(gaps) is None
    assert estimate_regularity(gaps.iloc[:0]) is None
    # One purchase in every period leaves nothing to vary.
    assert estimate_regularity(gaps.assign(customers=500, recency=3)) is None
    assert estimate_regularity(gaps.assign(customers=20)) is not None
