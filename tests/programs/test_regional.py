import numpy as np
import pandas as pd
import pytest

from cvmlib.programs.regional import measure_regions

START = pd.Timestamp("2026-01-01")


def sell(rng: np.random.Generator, *, days=120, areas=14, tested=20, lift=0.0, noise=0.03) -> pd.DataFrame:
    """Areas of different size that follow two common factors, each in its own way; two of them are treated."""
    factors = np.cumsum(0.01 * rng.standard_normal((days, 2)), axis=0) + 0.1 * np.sin(np.arange(days) / 7)[:, None]
    loads = rng.uniform(0.3, 1.7, (2, areas))
    sales = rng.uniform(50, 500, areas) * np.exp(factors @ loads + noise * rng.standard_normal((days, areas)))
    sales[-tested:, :2] *= 1 + lift
    dates = START + pd.to_timedelta(np.arange(days), unit="D")
    frame = pd.DataFrame(sales, index=dates, columns=[f"a{i:02d}" for i in range(areas)]).rename_axis("date")
    return frame.reset_index().melt("date", var_name="region", value_name="value")


def measure(series: pd.DataFrame, tested: int = 20, interval: float = 0.9):
    dates = np.sort(series["date"].unique())
    return measure_regions(series, {"a00", "a01"}, pd.Timestamp(dates[-tested]), pd.Timestamp(dates[-1]), interval)


def test_lift_is_found_and_covered():
    rng, inside, errors = np.random.default_rng(1), [], []
    for _ in range(60):
        found = measure(sell(rng, lift=0.12))
        inside.append(found.low <= 0.12 <= found.high)
        errors.append(found.lift - 0.12)
    assert np.mean(inside) >= 0.80  # placebo errors come from earlier days; 60 runs give 0.9 +- 0.04
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(60) + 0.003
    assert np.std(errors) < 0.05


def test_interval_and_p_value_never_contradict_each_other():
    rng, seen = np.random.default_rng(2), set()
    for lift in (0.0, 0.02, 0.05, 0.15, -0.1):
        for level in (0.5, 0.8, 0.9, 0.95, 0.99):
            found = measure(sell(rng, lift=lift), interval=level)
            excludes = found.low > 0 or found.high < 0
            assert excludes == (found.p_value < 1 - level)
            seen.add(excludes)
    assert seen == {True, False}


def test_incremental_sales_are_those_above_the_expected_course():
    found = measure(sell(np.random.default_rng(3), lift=0.1))
    tested = found.course[found.course["tested"]]
    assert len(tested) == 20
    assert found.incremental == pytest.approx((tested["actual"] - tested["expected"]).sum())
    assert found.lift == pytest.approx(tested["actual"].sum() / tested["expected"].sum() - 1)
    assert len(found.areas) == 12 and "a00" not in set(found.areas["area"])


def test_money_in_cents_is_the_same_lift():
    series = sell(np.random.default_rng(4), lift=0.1)
    cents = series.assign(value=100 * series["value"])
    assert measure(cents).lift == pytest.approx(measure(series).lift, rel=1e-9)
    assert measure(cents).p_value == pytest.approx(measure(series).p_value, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[~s["region"].isin(["a00", "a01"])], "none of its treated areas is a region"),
        (lambda s: s[s["region"].isin(["a00", "a01", "a02"])], "only 1 control areas have a value in every period"),
        (lambda s: s[s["date"] >= s["date"].max() - pd.Timedelta(days=24)], "hold 5 periods before its start"),
        (lambda s: s[s["date"] >= s["date"].max() - pd.Timedelta(days=49)], "too short for two placebo runs"),
    ],
)
def test_too_little_to_tell_is_said(change, message):
    series = sell(np.random.default_rng(5))
    dates = np.sort(series["date"].unique())
    with pytest.raises(ValueError, match=message):
        measure_regions(change(series), {"a00", "a01"}, pd.Timestamp(dates[-20]), pd.Timestamp(dates[-1]), 0.9)


def test_outcomes_that_end_before_the_start_are_refused():
    series = sell(np.random.default_rng(6))
    after = series["date"].max() + pd.Timedelta(days=3)
    with pytest.raises(ValueError, match="outcomes end before it starts"):
        measure_regions(series, {"a00", "a01"}, after, after + pd.Timedelta(days=20), 0.9)
