"""Numbers in words: telling digits, one scale, and the mean inside its range."""

import datetime
import math
import re

import numpy as np
import pytest

from cvmlib.reporting import words


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((4.6e6, 4.1e6, 5.3e6), "between 4.1 and 5.3 million EUR, most likely 4.6"),
        ((4.61e6, 4.6e6, 4.62e6), "between 4.60 and 4.62 million EUR, most likely 4.61"),
        ((412e3, 380e3, 460e3), "between 380 and 460 thousand EUR, most likely 412"),
        ((8450, 8000, 9100), "between 8,000 and 9,100 EUR, most likely 8,450"),
        ((51_603, 50_074, 52_969), "between 50,100 and 53,000 EUR, most likely 51,600"),
        ((12.3, 11.5, 13.4), "between 11.5 and 13.4 EUR, most likely 12.3"),
        ((-1e6, -2e6, 3e5), "between −2.0 and 0.3 million EUR, most likely −1.0"),
        ((9, 1, 5), "between 1 and 5 EUR, on average 9"),
        ((1.5, 1, 100), "between 1 and 100 EUR, most likely 2"),
        ((5, 5, 5), "about 5 EUR"),
        ((0, 0, 0), "about 0 EUR"),
        ((999_600, 990_000, 1_010_000), "between 0.99 and 1.01 million EUR, most likely 1.00"),
        ((math.nan, 1, 2), "not known"),
        ((1, 2, math.inf), "not known"),
    ],
)
def test_between(numbers, said):
    assert words.between(*numbers) == said


def test_between_counts_what_it_is_told_to():
    assert words.between(41_200, 39_100, 43_500, "purchases") == (
        "between 39,100 and 43,500 purchases, most likely 41,200"
    )
    assert words.between(0.4, 0.3, 0.5, "") == "between 0.3 and 0.5, most likely 0.4"


def test_a_mean_never_falls_out_of_its_range_and_ends_stay_apart():
    rng = np.random.default_rng(1)
    for _ in range(2000):
        scale = 10 ** rng.uniform(-2, 10)
        low, mean, high = np.sort(rng.uniform(0, 1, 3)) * scale
        if high - low < 1e-4 * high:
            continue
        said = [float(n.replace(",", "")) for n in re.findall(r"[\d,]*\d(?:\.\d+)?", words.between(mean, low, high))]
        assert said[0] < said[1], (mean, low, high)
        assert said[0] <= said[2] <= said[1], (mean, low, high)
        unit = {"million": 1e6, "billion": 1e9, "thousand": 1e3}
        factor = next((f for name, f in unit.items() if name in words.between(mean, low, high)), 1)
        assert abs(said[2] * factor - mean) <= 0.11 * (high - low)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (4_612_345, "4.61 million EUR"), (8453, "8,450 EUR"), (12.345, "12.3 EUR"), (0, "0 EUR"), (-5, "−5.00 EUR"),
        (99_999, "100 thousand EUR"), (999_999, "1.00 million EUR"), (1_234_567_890, "1.23 billion EUR"),
        (math.nan, "not known"),
    ],
)  # fmt: skip
def test_amount(value, said):
    assert words.amount(value) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0%"), (1e-5, "less than 0.1%"), (0.034, "3.4%"), (0.12, "12%"), (0.95, "95.0%"),
        (0.9999, "more than 99.9%"), (1, "100%"), (1.25, "125%"), (-0.05, "−5.0%"), (math.nan, "not known"),
    ],
)  # fmt: skip
def test_percent_never_rounds_a_part_to_nothing_or_all(share, said):
    assert words.percent(share) == said


def test_percent_with_given_places():
    assert words.percent(0.123, places=1) == "12.3%"
    assert words.percent(0.999, places=0) == "more than 99%"


def test_a_chance_counted_over_draws_is_never_certain():
    assert [words.chance(p) for p in (0.0, 0.004, 0.25, 0.986, 1.0)] == [
        "less than 1%",
        "less than 1%",
        "25%",
        "99%",
        "more than 99%",
    ]


def test_count_listing_and_day():
    assert words.count(0, "customer") == "no customers"
    assert words.count(1, "customer") == "1 customer"
    assert words.count(12_345, "customer") == "12,345 customers"
    assert words.count(2, "company", "companies") == "2 companies"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing(["a", "b"], "or") == "a or b"
    assert words.listing(["a"]) == "a"
    assert words.listing([]) == ""
    assert words.day(datetime.date(2026, 6, 3)) == "3 June 2026"
