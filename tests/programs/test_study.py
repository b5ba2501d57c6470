import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.errors import UnfitModelError
from cvmlib.programs.prepared import load_unit
from cvmlib.programs.results import load_result, save_result
from cvmlib.programs.study import Settings, judge_programs, measure_unit
from cvmlib.programs.validation import predict_each, vary_prior
from tests.programs.company import draw_arm, list_programs, study, write_company
from tests.programs.test_regional import sell

ROWS = [
    ("sure", 3_000.0, "randomised"),
    ("null", 20_000.0, "randomised"),
    ("broken", 1_000.0, "randomised"),
    ("free", None, None),
    ("chosen", 500.0, "none"),
    ("everyone", 500.0, None),
    ("nobody", 100.0, None),
]


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    assignments = pd.concat(
        [
            draw_arm("sure", 4_000, 4_000, 0.4, 1), draw_arm("null", 4_000, 4_000, 0.0, 2),
            draw_arm("broken", 3_000, 4_000, 0.4, 3), draw_arm("free", 2_000, 2_000, 0.3, 4),
            draw_arm("chosen", 2_000, 2_000, 0.9, 5), draw_arm("everyone", 1_000, 0, 0.0, 6),
        ]
    )  # fmt: skip
    assignments["segment"] = np.where(np.arange(len(assignments)) % 3 == 0, "old", "new")
    programs = list_programs(*ROWS, treated_share=0.5, channel="email")
    portfolio = write_company(tmp_path_factory.mktemp("company"), programs=programs, assignments=assignments)
    return portfolio, *study(portfolio)


def row(company, program: str) -> pd.Series:
    return company[1].units["shop"].results.set_index("program_id").loc[program]


@pytest.mark.parametrize(
    ("program", "verdict", "reason"),
    [
        ("sure", "scale", "brings back its cost in margin is more than 99%"),
        ("null", "stop", "brings back its cost in margin is less than 1%"),
        ("broken", "withheld", "3,000 customers are treated and 4,000 held back"),
        ("free", "retest", "Its cost is missing"),
        ("chosen", "not measured", "not separated by chance"),
        ("everyone", "not measured", "All 1,000 customers on record were treated"),
        ("nobody", "not measured", "Nobody recorded whom it reached"),
    ],
)
def test_verdicts(company, program, verdict, reason):
    found = row(company, program)
    assert found["verdict"] == verdict and reason in found["reason"]


@pytest.mark.parametrize("program", ["broken", "chosen", "everyone", "nobody"])
def test_no_effect_is_claimed_without_a_sound_test(company, program):
    assert row(company, program)[["pooled", "gain", "back", "probability"]].isna().all()


def test_money_of_the_sure_program(company):
    found = row(company, "sure")
    base = found["base"]
    assert found["gain"] == pytest.approx(0.5 * base * found["pooled"] * 4_000)
    assert found["gain_low"] < 0.5 * base * 0.4 * 4_000 < found["gain_high"]
    assert row(company, "free")["assumed"] and not found["assumed"]


def test_totals_tell_what_was_spent_unmeasured(company):
    totals = company[1].units["shop"].totals
    assert totals["programs"] == 7 and totals["tested"] == 3 and totals["costs_missing"] == 1
    assert totals["cost_unknown"] == 1_000 + 500 + 500 + 100
    assert totals["gain"]["low"] < totals["gain"]["mean"] < totals["gain"]["high"]


def test_tests_are_proposed_where_they_are_missing(company):
    tests = company[1].units["shop"].tests.set_index("program_id")
    assert set(tests.index) == {"broken", "free", "chosen", "everyone", "nobody"}
    assert tests.loc["broken", "net"] == tests.loc["broken", "worth"] - tests.loc["broken", "cost"]
    assert np.isnan(tests.loc["free", "net"]) and tests.loc["free", "detectable"] > 0


def test_results_are_saved_and_loaded(company):
    portfolio, found, _ = company
    with pytest.raises(UnfitModelError, match="have not been studied yet"):
        load_result(portfolio, "shop")
    save_result(portfolio, found.units["shop"])
    loaded = load_result(portfolio, "shop")
    assert loaded.totals == found.units["shop"].totals
    assert loaded.results["verdict"].tolist() == found.units["shop"].results["verdict"].tolist()
    assert loaded.draws["sure"].mean() == pytest.approx(row(company, "sure")["pooled"], rel=0.05)


def test_customer_value_is_taken_from_any_column(company):
    portfolio, _, _ = company
    data = load_unit(portfolio, "shop")
    rows = data.rows.to_pandas()
    worth = np.where((rows["program_id"] == "sure") & (rows["arm"] == "treated"), 12.0, 10.0)
    con = ibis.duckdb.connect()
    values = con.create_table("values", pd.DataFrame({"customer_id": rows["customer_id"], "value": worth}))
    measured = measure_unit(data, 0.5, values)
    lifts = measured.lifts.set_index("program_id")
    assert lifts.loc["sure", "value"] == pytest.approx(2.0, abs=0.01) and lifts.loc["null", "value"] == pytest.approx(0)
    table = judge_programs(portfolio, {"shop": measured}, Settings()).units["shop"].results.set_index("program_id")
    assert table.loc["sure", "total_gain"] > table.loc["sure", "gain"] + 4_000


def test_hurdle_and_prior_are_heard(company):
    portfolio, found, _ = company
    strict = judge_programs(portfolio, found.measured, Settings(hurdle=50.0)).units["shop"].results
    assert strict.set_index("program_id").loc["sure", "verdict"] == "stop"
    assert "50 times its cost" in strict.set_index("program_id").loc["sure", "reason"]
    table = vary_prior(found, portfolio).set_index("label")
    assert table.loc["Sure", ["verdict_1", "verdict_3"]].tolist() == ["scale", "scale"]
    assert len(predict_each(found, 1, draws=500)) == 3


def test_regional_program_beside_others(tmp_path):
    series = sell(np.random.default_rng(3), lift=0.15).rename(columns={"date": "week"})
    areas = pd.DataFrame({"customer_id": sorted(series["region"].unique())})
    arms = areas.assign(
        program_id="posters", arm=np.where(areas["customer_id"].isin(["a00", "a01"]), "treated", "control")
    )
    late = areas.assign(program_id="late", arm=arms["arm"])
    programs = list_programs(("posters", 10.0, "regional"), ("late", 10.0, "regional"), channel="outdoor")
    programs["start"] = [series["week"].max() - pd.Timedelta(days=19), pd.Timestamp("2026-06-29")]
    portfolio = write_company(tmp_path, programs=programs, assignments=pd.concat([arms, late]), outcomes=series)
    found, checks = study(portfolio)
    table = found.units["shop"].results.set_index("program_id")
    assert table.loc["posters", "verdict"] == "scale" and table.loc["posters", "p_value"] < 0.1
    tested = found.units["shop"].courses.query("tested")
    assert table.loc["posters", "gain"] == pytest.approx(0.5 * (tested["actual"] - tested["expected"]).sum())
    assert table.loc["late", "verdict"] == "not measured"
    assert "outcomes end before it starts" in table.loc["late", "reason"]
    assert found.units["shop"].courses["program_id"].unique().tolist() == ["posters"]
    assert checks.blocked == {"value", "holdout"}


def test_conversions_alone_have_no_return(tmp_path):
    rows = draw_arm("calls", 3_000, 3_000).drop(columns=["outcome", "before"])
    rows["converted"] = (np.random.default_rng(1).random(6_000) < np.where(rows["arm"] == "treated", 0.15, 0.1)) * 1.0
    portfolio = write_company(tmp_path, programs=list_programs(("calls", 100.0, "randomised")), assignments=rows)
    found = study(portfolio)[0].units["shop"]
    assert not found.totals["money"] and found.totals["gain"] is None
    assert found.results["verdict"].tolist() == ["retest"]
    assert "not recorded in money" in found.results["reason"].iloc[0]
    assert found.results["conversion_better"].iloc[0] > 0.99 and found.results["relative"].iloc[0] > 0.2
    assert found.tests["detectable"].iloc[0] > 0 and np.isnan(found.tests["worth"].iloc[0])


def test_unit_without_assignments_is_a_list(tmp_path):
    found = study(write_company(tmp_path, programs=list_programs(("radio", 100.0, None))))[0].units["shop"]
    assert found.results["verdict"].tolist() == ["not measured"] and found.segments.empty
    assert found.tests["why_not"].iloc[0].startswith("nothing is known of what its customers bring")
