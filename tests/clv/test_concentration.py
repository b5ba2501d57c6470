"""Concentration from grouped counts against the ungrouped customers."""

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import concentration
from cvmlib.clv.customer_base import Span
from tests.clv.bases import END, as_table, customers_of, random_base


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(2).lognormal(4, 1.2, 20_000)


def _table(values, **columns):
    ids = [str(n) for n in range(len(values))]
    return ibis.memtable(pd.DataFrame({"customer_id": ids, "total_value": values, **columns}))


def test_grouping_keeps_sums_and_the_share_of_the_best(values):
    groups = concentration.group_values(_table(values))
    assert len(groups) < 1_500
    assert groups["customers"].sum() == len(values)
    assert groups["value"].sum() == pytest.approx(values.sum())
    best = np.sort(values)[::-1]
    found = concentration.top_share(groups)
    assert found.mean == pytest.approx(best[:4_000].sum() / values.sum(), abs=1e-4)
    behind = np.searchsorted(best.cumsum() / best.sum(), 0.8) / len(best)
    assert concentration.customers_behind(groups) == pytest.approx(behind, abs=1e-3)
    curve = concentration.lorenz_curve(groups)
    assert curve.iloc[[0, -1]].to_numpy() == pytest.approx(np.array([[0, 0], [1, 1]]))
    slopes = np.diff(curve["share"]) / np.diff(curve["customers"])
    assert (np.diff(slopes) < 0).all()


def test_bootstrap_interval_covers_the_truth():
    # lognormal(mu, sigma): the share of the top 20% is Phi(sigma - z80), with z80 the 80% point of the normal
    truth = 0.562  # sigma = 1: Phi(1 - 0.8416)
    inside = 0
    for seed in range(60):
        sample = np.random.default_rng(seed).lognormal(0, 1, 2_000)
        found = concentration.top_share(concentration.group_values(_table(sample)), draws=300, seed=seed)
        inside += found.low <= truth + 0.001 and truth - 0.001 <= found.high
    assert 47 <= inside <= 60


def test_all_alike_and_nothing_spent():
    alike = concentration.top_share(concentration.group_values(_table(np.full(10, 5.0))))
    assert (alike.mean, alike.low, alike.high) == pytest.approx((0.2, 0.2, 0.2))
    nothing = concentration.group_values(_table(np.zeros(3)))
    assert np.isnan(concentration.top_share(nothing).mean)
    assert concentration.lorenz_curve(nothing).empty
    assert np.isnan(concentration.customers_behind(nothing))


def test_cents_and_euros_agree(values):
    cents = concentration.top_share(concentration.group_values(_table(100 * values)))
    euros = concentration.top_share(concentration.group_values(_table(values)))
    assert cents.mean == pytest.approx(euros.mean, abs=1e-4)
    assert cents.low == pytest.approx(euros.low, rel=0.02)


def test_channels_are_compared_over_the_same_days():
    frame = random_base(400)
    counted = customers_of(frame)
    counted["acquisition_channel"] = np.where(np.arange(len(counted)) % 3 == 0, "search", "<b>friends</b>")
    counted.loc[:9, "acquisition_channel"] = None
    found = concentration.compare_channels(as_table(frame), ibis.memtable(counted), END, days=180)
    assert set(found["channel"]) == {"search", "<b>friends</b>", concentration.UNKNOWN}
    assert found["customers"].sum() == 400
    joined = frame.merge(counted[["customer_id", "first", "acquisition_channel"]], on="customer_id")
    limit = joined["first"] + pd.Timedelta(days=180)
    kept = joined[(limit <= pd.Timestamp(END)) & (joined["period"] <= limit)]
    each = kept[kept["acquisition_channel"] == "search"].groupby("customer_id")["value"].agg(["sum", "size"])
    row = found.set_index("channel").loc["search"]
    assert row["followed"] == len(each)
    assert row["mean"] == pytest.approx(each["sum"].mean())
    assert row["repeat_share"] == pytest.approx((each["size"] > 1).mean())
    assert row["high"] - row["mean"] == pytest.approx(1.645 * each["sum"].std() / np.sqrt(len(each)), rel=1e-3)


def test_a_channel_too_young_to_compare_is_listed_without_a_figure():
    frame = pd.DataFrame({"customer_id": ["a", "b"], "period": pd.to_datetime(["2025-01-01", "2026-06-01"])})
    frame["value"] = [10.0, 20.0]
    counted = customers_of(frame).assign(acquisition_channel=["old", "young"])
    found = concentration.compare_channels(as_table(frame), ibis.memtable(counted), END, days=90)
    young = found.set_index("channel").loc["young"]
    assert young["followed"] == 0
    assert np.isnan(young["mean"])


def test_length_of_comparison_fits_the_history():
    day = pd.Timestamp(END)
    lengths = [
        concentration.comparison_days(Span((day - pd.Timedelta(days=n)).date(), END)) for n in (1_000, 400, 200, 70, 20)
    ]
    assert lengths == [365, 180, 90, 30, None]
