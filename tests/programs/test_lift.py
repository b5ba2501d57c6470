import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from cvmlib.programs.lift import Arm, describe_arm, find_freedom, measure_conversion, measure_lift
from cvmlib.programs.simulate import World, simulate_counts
from tests.programs.arms import count_customers, draw_customers


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    return draw_customers(6_000, np.random.default_rng(1), lift=0.1, share=0.7)


@pytest.fixture(scope="module")
def found(customers) -> pd.Series:
    return measure_lift(count_customers(customers), margin=0.4).iloc[0]


def test_raw_lift_is_the_difference_of_means_with_welch_error(customers, found):
    a, b = (customers.loc[customers["arm"] == name, "y"] for name in ("treated", "control"))
    assert found["raw"] == pytest.approx(a.mean() - b.mean(), rel=1e-12)
    assert found["raw_se"] == pytest.approx(np.sqrt(a.var() / len(a) + b.var() / len(b)), rel=1e-9)
    assert (found["treated"], found["control"]) == (len(a), len(b))


def test_adjusted_lift_is_that_of_a_regression_on_the_past(customers, found):
    treated = (customers["arm"] == "treated").astype(float)
    fit = sm.OLS(customers["y"], sm.add_constant(np.column_stack([treated, customers["x"]]))).fit(cov_type="HC0")
    assert found["lift"] == pytest.approx(fit.params.iloc[1], rel=1e-9)
    assert found["lift_se"] == pytest.approx(fit.bse.iloc[1], rel=0.01)
    assert found["relative"] == pytest.approx(found["lift"] / found["base"])


def test_past_cuts_the_variance_by_its_r_squared(customers, found):
    within = customers[["x", "y"]] - customers.groupby("arm")[["x", "y"]].transform("mean")
    r_squared = np.corrcoef(within["x"], within["y"])[0, 1] ** 2
    assert found["cut"] == pytest.approx(r_squared, rel=1e-9)
    assert 1 - (found["lift_se"] / found["raw_se"]) ** 2 == pytest.approx(r_squared, abs=0.02)
    assert r_squared > 0.1


def test_margin_and_predicted_value_add_up_customer_by_customer(customers, found):
    rows = customers.assign(y=0.4 * customers["y"] + customers["v"])
    other = measure_lift(count_customers(rows)).iloc[0]
    assert found["total"] == pytest.approx(other["lift"], rel=1e-9)
    assert found["total_se"] == pytest.approx(other["lift_se"], rel=1e-9)
    value = measure_lift(count_customers(customers.assign(y=customers["v"]))).iloc[0]
    assert (found["value"], found["value_se"]) == pytest.approx((value["lift"], value["lift_se"]), rel=1e-9)


def test_unit_of_money_changes_nothing_relative(customers, found):
    cents = customers.assign(x=100 * customers["x"], y=100 * customers["y"])
    other = measure_lift(count_customers(cents)).iloc[0]
    for name in ("relative", "log_ratio", "log_ratio_se", "cut", "freedom"):
        assert other[name] == pytest.approx(found[name], rel=1e-9)


def test_freedom_matches_how_uncertain_a_variance_is():
    rng = np.random.default_rng(5)
    samples = rng.gamma(0.25, size=(10_000, 200))  # kurtosis 3 + 6 / 0.25
    variances = samples.var(axis=1, ddof=1)
    expected = 2 / (variances.std() / variances.mean()) ** 2
    arm = Arm(np.array([200.0]), np.array([0.25]), np.array([0.25]), np.array([27.0]))
    none = Arm(np.array([1e9]), np.zeros(1), np.zeros(1), np.ones(1))
    assert find_freedom(arm, none)[0] == pytest.approx(expected, rel=0.1)
    rows = pd.DataFrame({"program_id": "p", "arm": "a", "y": samples[:1_500].ravel()}).assign(
        x=0.0, v=0.0, converted=1.0
    )
    assert describe_arm(count_customers(rows)).kurtosis[0] == pytest.approx(27, rel=0.15)


def test_interval_covers_the_true_lift():
    rows = draw_customers(300_000, np.random.default_rng(9), lift=0.2)
    found = measure_lift(count_customers(rows.assign(program_id=(np.arange(len(rows)) // 1_500).astype(str))))
    inside = (found["log_ratio"] - np.log(1.2)).abs() < 1.645 * found["log_ratio_se"]
    assert len(found) == 200 and 0.84 <= inside.mean() <= 0.96


@pytest.mark.parametrize("arms", [["treated"], ["control"], []])
def test_one_arm_says_nothing(customers, arms):
    counts = count_customers(customers)
    found = measure_lift(counts[counts["arm"].isin(arms)])
    assert len(found) == 0 and {"raw", "log_ratio", "total_se"} <= set(found.columns)


def test_nobody_bought():
    found = measure_lift(count_customers(draw_customers(100, np.random.default_rng(1)).assign(y=0.0, v=0.0))).iloc[0]
    assert found["raw"] == 0 and np.isnan(found["log_ratio"]) and found["cut"] == 0


def test_conversion_is_a_difference_of_beta_posteriors():
    rows = draw_customers(4_000, np.random.default_rng(2)).assign(converted=lambda t: (t["arm"] == "treated") * 0.0)
    rows.loc[rows.index % 10 == 0, "converted"] = 1.0
    rows.loc[(rows.index % 10 == 1) & (rows["arm"] == "treated"), "converted"] = 1.0
    found = measure_conversion(count_customers(rows)).iloc[0]
    rates = rows.groupby("arm")["converted"].mean()
    assert found["difference"] == pytest.approx(rates["treated"] - rates["control"], abs=1e-3)
    se = np.sqrt(sum(r * (1 - r) / 2_000 for r in rates))
    assert (found["high"] - found["low"]) / 2 == pytest.approx(1.645 * se, rel=0.05)
    assert found["better"] > 0.999


@pytest.mark.parametrize(("buying", "spread"), [(0.10, 1.5), (0.01, 2.0)])
def test_intervals_hold_where_hardly_anyone_buys_and_few_of_those_a_lot(buying, spread):
    world, rng = World(buying=buying, memory=buying, spread=spread), np.random.default_rng(8)
    found = measure_lift(simulate_counts([0.3] * 400, [4_000] * 400, rng, world=world))
    off = (found["log_ratio"] - np.log(1.3)).abs() / found["log_ratio_se"]
    inside = off <= stats.norm.ppf(0.95) * np.sqrt(found["freedom"] / (found["freedom"] - 2))
    assert inside.mean() == pytest.approx(0.9, abs=0.03 + 2 * 0.015)  # 400 programs give 0.9 +- 0.015
    if spread == 2.0:
        assert (off <= stats.norm.ppf(0.95)).mean() < 0.8  # a normal interval would not hold
