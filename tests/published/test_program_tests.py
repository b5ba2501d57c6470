"""Published experiments: Hillstrom's e-mails (effects with standard errors) and the GeoLift walkthrough (5.4%)."""

import pandas as pd
import pytest

from cvmlib.portfolio import read_portfolio
from cvmlib.programs.prepare import prepare_unit
from cvmlib.programs.results import UnitResult
from cvmlib.programs.study import study_programs
from cvmlib.tables.checks import check_unit
from tests.published.printed import DATA, ROOT, stored


def study_example(folder, monkeypatch, name: str, file: str) -> UnitResult:
    stored(file)
    monkeypatch.setenv("CVM_DATA", str(DATA.resolve()))
    path = folder / f"{name}.toml"
    path.write_text((ROOT / "examples" / f"{name}.toml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "pyproject.toml").touch()
    portfolio = read_portfolio(path)
    unit = next(iter(portfolio.units))
    checks = check_unit(portfolio, unit)
    checks.raise_if_fatal()
    prepare_unit(portfolio, unit, checks)
    return study_programs(portfolio).units[unit]


def test_hillstrom_effects_and_errors(tmp_path, monkeypatch, reference):
    found = study_example(tmp_path, monkeypatch, "hillstrom", "experiments/hillstrom_email.parquet")
    known, table = reference["hillstrom"], found.results.set_index("program_id")
    for arm in ("mens", "womens"):
        row = table.loc[arm]
        assert (row["treated"], row["control"]) == (known["arms"][arm], known["arms"]["none"])
        assert row["mean_treated"] == pytest.approx(known["means"][arm]["spend"], abs=1e-6)
        assert row["rate_treated"] == pytest.approx(known["means"][arm]["conversion"], abs=1e-6)
        effect, error = known["ate_se"][arm]["spend"]
        assert (row["raw"], row["raw_se"]) == pytest.approx((effect, error), abs=6e-6)
        effect, error = known["ate_se"][arm]["conversion"]
        assert row["conversion_difference"] == pytest.approx(effect, abs=2e-5)
        assert (row["conversion_high"] - row["conversion_low"]) / 3.29 == pytest.approx(error, rel=0.03)
        assert not row["broken"] and row["verdict"] == "scale"
        assert row["pooled_low"] < row["relative"] < row["pooled_high"]
    assert found.segments["program_id"].nunique() == 2 and not found.segments["outstanding"].all()


def test_geolift_lift_is_inside_the_interval_which_excludes_zero(tmp_path, monkeypatch, reference):
    found = study_example(tmp_path, monkeypatch, "geolift", "experiments/geolift_test.csv.gz")
    known, row = reference["geolift_test"], found.results.iloc[0]
    published = known["published"]
    assert row["pooled_low"] < published["lift_pct"] / 100 < row["pooled_high"] and row["pooled_low"] > 0
    assert row["gain_low"] < published["incremental"] < row["gain_high"]
    assert row["p_value"] < 0.1 and row["p_value"] == pytest.approx(published["p"], abs=0.02)
    course = found.courses
    assert len(course) == known["days"] and course["tested"].sum() == 15
    assert (row["treated"], row["control"]) == (2, known["locations"] - 2)


@pytest.mark.parametrize(
    ("name", "file", "rates"),
    [
        ("ifood", "cvm/ifood_marketing_campaign.csv.gz", [0.064, 0.013, 0.073, 0.075, 0.073, 0.149]),
        ("uci_bank", "cvm/uci_bank_full.csv.gz", [5289 / 45211]),
    ],
)
def test_everybody_treated_allows_no_causal_claim(tmp_path, monkeypatch, name, file, rates):
    found = study_example(tmp_path, monkeypatch, name, file)
    table = found.results
    assert table["response"].tolist() == pytest.approx(rates, abs=6e-4)
    assert set(table["verdict"]) == {"not measured"}
    assert table[["pooled", "gain", "probability"]].isna().all(axis=None)
    assert table["reason"].str.contains("there is nobody to compare them with").all()
    assert isinstance(found.tests, pd.DataFrame) and (found.tests["detectable"] > 0).all()
