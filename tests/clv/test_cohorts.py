"""Cohorts, the repeat curve and gaps against brute force, and short or empty histories."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import cohorts
from tests.clv.bases import END, as_table, random_base


@pytest.fixture(scope="module")
def frame():
    return random_base()


@pytest.fixture(scope="module")
def purchases(frame):
    return as_table(frame)


def test_cohorts_equal_brute_force(frame, purchases):
    found = cohorts.count_cohorts(purchases, END)
    assert found.unit == "quarter"
    at = frame["period"].dt.to_period("Q")
    first = at.groupby(frame["customer_id"]).transform("min")
    for name, row in found.active.iterrows():
        cohort = frame[first == pd.Period(name.replace(" ", ""))]
        size = cohort["customer_id"].nunique()
        assert found.customers[name] == size
        ages = at[cohort.index].map(lambda p: p.ordinal) - pd.Period(name.replace(" ", "")).ordinal
        for age in row.dropna().index:
            assert row[age] == pytest.approx(cohort.loc[ages == age, "customer_id"].nunique() / size)
            spent = cohort.loc[ages <= age, "value"].sum() / size
            assert found.revenue.loc[name, age] == pytest.approx(spent)
    assert found.active.notna().sum(axis=1).tolist() == list(range(len(found.active), 0, -1))
    assert found.first_is_partial


def test_a_quarter_cut_short_is_left_out(purchases):
    found = cohorts.count_cohorts(purchases, date(2026, 6, 29))
    assert found.active.index[-1] == "2026 Q1"
    assert found.active.columns.max() == 12


def test_unit_follows_the_length_of_history():
    short = as_table(random_base(30, date(2026, 4, 1)))
    long = as_table(random_base(30, date(2016, 7, 1)))
    assert cohorts.choose_cohort_unit(short, END) == "month"
    assert cohorts.choose_cohort_unit(long, END) == "year"
    found = cohorts.count_cohorts(short, END)
    assert found.active.index.tolist() == ["Apr 2026", "May 2026", "Jun 2026"]
    assert set(cohorts.count_cohorts(long, END).table["cohort"]) <= {str(year) for year in range(2016, 2026)}


def test_history_within_one_month_has_no_cohort():
    found = cohorts.count_cohorts(as_table(random_base(30, date(2026, 6, 10), date(2026, 6, 20))), date(2026, 6, 20))
    assert found.active.empty
    assert found.table.empty


def test_one_cohort():
    frame = random_base(50, date(2026, 1, 1))
    first = frame.groupby("customer_id")["period"].transform("min")
    frame["period"] = pd.Timestamp("2026-01-01") + (frame["period"] - first)
    found = cohorts.count_cohorts(as_table(frame[frame["period"] <= "2026-06-30"]), END)
    assert found.active.shape == (1, 6)


def test_repeat_curve_is_kaplan_meier(frame, purchases):
    curve = cohorts.follow_repeats(purchases, END)
    curve = curve[curve["cohort"] == cohorts.ALL_YEARS]
    each = frame.sort_values("period").groupby("customer_id")["period"].agg(list)
    again = each.map(len) > 1
    time = each.map(lambda d: ((d[1] if len(d) > 1 else pd.Timestamp(END)) - d[0]).days)
    still = 1.0
    for day in sorted(time[again].unique()):
        still *= 1 - (again & (time == day)).sum() / (time >= day).sum()
        row = curve[curve["time"] == day]
        if len(row):
            assert row["share"].item() == pytest.approx(1 - still)
            assert row["at_risk"].item() == (time >= day).sum()
    assert (curve["low"] <= curve["share"]).all() and (curve["share"] <= curve["high"]).all()
    assert curve["share"].is_monotonic_increasing


def test_repeat_curve_is_not_bent_by_censoring():
    rng = np.random.default_rng(5)
    first = rng.integers(0, 730, 8_000)
    second = first + 1 + rng.exponential(200, 8_000).astype(int)
    days = np.r_[first, second]
    frame = pd.DataFrame({"customer_id": np.r_[np.arange(8_000), np.arange(8_000)].astype(str), "value": 1.0})
    frame["period"] = pd.Timestamp("2024-07-01") + pd.to_timedelta(days, unit="D")
    frame = frame[frame["period"] <= pd.Timestamp(END)]
    table = cohorts.read_milestones(cohorts.follow_repeats(as_table(frame), END), days=(90, 365))
    for row in table.itertuples():
        truth = 1 - np.exp(-(row.days - 0.5) / 200)
        assert row.share == pytest.approx(truth, abs=0.03)
    naive = (frame.groupby("customer_id").size() > 1).mean()
    assert abs(naive - (1 - np.exp(-364.5 / 200))) > 0.03


def test_band_narrows_with_customers():
    widths = []
    for customers in (200, 3_200):
        curve = cohorts.follow_repeats(as_table(random_base(customers, seed=9)), END)
        at = cohorts.read_milestones(curve[curve["cohort"] == cohorts.ALL_YEARS], days=(90,)).iloc[0]
        widths.append(at["high"] - at["low"])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_milestones_beyond_the_following_are_not_told():
    table = cohorts.read_milestones(cohorts.follow_repeats(as_table(random_base(1_000)), END))
    longest = table.groupby("cohort")["days"].max()
    assert longest["2026"] == 90
    assert longest["2025"] == 365
    assert longest["2023"] == 730


def test_many_years_are_taken_together():
    curve = cohorts.follow_repeats(as_table(random_base(800, date(2016, 7, 1))), END, largest_step=0.2)
    assert curve["cohort"].unique()[:2].tolist() == [cohorts.ALL_YEARS, "2016–2022"]


def test_a_curve_ends_where_one_customer_would_move_it_much():
    curve = cohorts.follow_repeats(as_table(random_base(60)), END)
    whole = curve[curve["cohort"] == cohorts.ALL_YEARS]
    assert ((1 - whole["share"].shift(fill_value=0.0)) / whole["at_risk"]).iloc[:-1].max() <= cohorts.LARGEST_STEP
    assert cohorts.follow_repeats(as_table(random_base(19)), END).empty


def test_nobody_came_back():
    frame = random_base(50).groupby("customer_id", as_index=False).first()
    assert cohorts.follow_repeats(as_table(frame), END).empty
    assert cohorts.read_milestones(cohorts.follow_repeats(as_table(frame), END)).empty
    gaps = cohorts.count_gaps(as_table(frame), END)
    assert gaps.empty
    assert np.isnan(cohorts.gap_quantile(gaps, 0.5))


def test_everybody_came_back_on_one_day():
    frame = pd.DataFrame({"customer_id": [str(n) for n in range(30)] * 2, "value": 1.0})
    frame["period"] = [pd.Timestamp("2026-01-01")] * 30 + [pd.Timestamp("2026-01-08")] * 30
    curve = cohorts.follow_repeats(as_table(frame), END)
    assert curve[curve["cohort"] == cohorts.ALL_YEARS]["share"].tolist() == [0.0, 1.0]


def test_gaps_equal_brute_force(frame, purchases):
    gaps = cohorts.count_gaps(purchases, END)
    days = frame.sort_values("period").groupby("customer_id")["period"].diff().dropna().dt.days
    assert gaps.set_index("days")["gaps"].to_dict() == days.value_counts().to_dict()
    assert cohorts.gap_quantile(gaps, 0.5) == np.quantile(days, 0.5, method="inverted_cdf")
