"""The study of a small simulated company, against its truth."""

import json
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import criticism, judgement, purchase_model, saving, spend_model, study
from cvmlib.clv.calendar import plain_calendar
from cvmlib.clv.counts import count_customers
from cvmlib.clv.families.registry import BG_NBD, FAMILIES
from cvmlib.clv.results import load_value
from cvmlib.clv.study import read_bases
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import read_portfolio
from tests.clv.companies import CONFIG, with_truth


def test_the_fits_pass_the_gate(company):
    assert company.full.passed and company.calibration.passed
    assert company.full.purchases["fashion"].units == company.full.spend.units == ("fashion", "grocery")


def test_intervals_of_customers_cover_their_real_future(company):
    joined = with_truth(company, "fashion")
    actual = joined["future_purchases_12m"]
    inside = (actual >= joined["purchases_low"]) & (actual <= joined["purchases_high"])
    assert len(joined) == 3000 and inside.mean() >= 0.88
    # Among the customers of whom something is expected, too.
    active = joined["expected_purchases"] > joined["expected_purchases"].quantile(0.75)
    assert inside[active].mean() >= 0.85


def test_the_total_interval_holds_the_real_total(company):
    joined = with_truth(company, "fashion")
    net, discounted = joined["future_value_12m_net"].sum(), joined["future_value_12m_net_discounted"].sum()
    purchases = joined["future_purchases_12m"].sum()
    worth = 0.45 * discounted - 4.0 * purchases * discounted / net
    saved = load_value(company.portfolio, "fashion").totals
    for name, truth in (("purchases", purchases), ("value", worth)):
        assert saved[name]["low"] <= truth <= saved[name]["high"]
        assert (saved[name]["high"] - saved[name]["low"]) < 0.2 * truth


def test_customers_are_ranked_by_their_real_value(company):
    joined = with_truth(company, "fashion")
    best = joined.nlargest(300, "value")
    assert best["future_value_12m_net"].mean() > 2.5 * joined["future_value_12m_net"].mean()
    assert np.corrcoef(joined["p_alive"], joined["alive"])[0, 1] > 0.3
    assert joined["p_alive"].mean() == pytest.approx(joined["alive"].mean(), abs=0.05)


def test_a_rhythm_is_found_and_reckoned_with(company):
    choice = company.full.choice
    assert choice.stages == {"fashion": 1, "grocery": 3} == company.calibration.choice.stages
    assert choice.title("grocery") in ("BG/CNBD-3", "MBG/CNBD-3") and choice.title("fashion") in ("BG/NBD", "MBG/NBD")
    assert "Customers buy by a rhythm: with gaps of 3 stages" in choice.reasons["grocery"]
    verdict = company.verdicts["grocery"]
    timing = next(check for check in verdict.checks if check.name == "timing of purchases")
    assert (
        timing.outcome == "pass"
        and "a model that reckons with the rhythm" in timing.sentence
        and "BG/NBD assumes" in timing.sentence
    )
    saved = load_value(company.portfolio, "grocery")
    assert saved.totals["model"]["stages"] == 3 and saved.models["chosen"].sum() == 1
    assert saved.models["model"].iloc[0] == choice.title("grocery")
    joined = with_truth(company, "grocery")
    actual = joined["future_purchases_12m"]
    assert saved.totals["purchases"]["low"] <= actual.sum() <= saved.totals["purchases"]["high"]
    assert ((actual >= joined["purchases_low"]) & (actual <= joined["purchases_high"])).mean() >= 0.85


@pytest.fixture
def known_calendars(company, monkeypatch):
    """Calendars of the whole history are taken as the study found them."""
    monkeypatch.setattr(study, "estimate_calendars", lambda *given, **settings: company.full.calendars)


def test_a_quick_look_is_near_the_full_fit_and_says_when_it_is_not_to_be_trusted(company, known_calendars):
    settings = {"sampling": company.portfolio.sampling.model_copy(update={"quick": True})}
    portfolio, bases = company.portfolio.model_copy(update=settings), {"fashion": company.bases["fashion"]}
    models = study.fit_models(portfolio, bases, like=company.full)
    gate = models.purchases["fashion"].diagnostics
    assert ("can be trusted" in gate.sentence()) == gate.passed
    verdict = judgement.judge_unit(
        bases["fashion"], models, None, study.predict_unit(portfolio, bases["fashion"], models)
    )
    assert (verdict.level == "withheld") == (not models.passed)
    quick, full = (m.purchases["fashion"].draws("fashion", pattern="search") for m in (models, company.full))
    for symbol in ("r", "alpha"):
        assert np.median(quick[symbol]) == pytest.approx(np.median(full[symbol]), abs=full[symbol].std())


def test_without_a_model_for_rhythm_the_verdict_is_withheld(company, known_calendars, monkeypatch):
    monkeypatch.setattr(study.spend_model, "fit", lambda *given: company.full.spend)
    few = {"purchase_models": ["bg_nbd"], "sampling": company.portfolio.sampling.model_copy(update={"draws": 300})}
    portfolio, bases = company.portfolio.model_copy(update=few), {"grocery": company.bases["grocery"]}
    models = study.fit_models(portfolio, bases)
    assert models.choice.title("grocery") == "BG/NBD" and models.choice.table.empty
    prediction = study.predict_unit(portfolio, bases["grocery"], models)
    verdict = judgement.judge_unit(bases["grocery"], models, None, prediction)
    assert verdict.level == "withheld"
    timing = next(check for check in verdict.checks if check.name == "timing of purchases")
    assert timing.outcome == "fail" and "far more regularly than the model assumes" in timing.sentence
    told = saving.describe_verdict(bases["grocery"], verdict)
    assert timing.sentence in told["reasons"] and told["headline"] == "The forecast is withheld: a check failed."


def test_random_timing_is_sound(company):
    assert company.verdicts["fashion"].level == "sound"
    assert company.verdicts["fashion"].reasons == []
    saved = load_value(company.portfolio, "fashion")
    assert not saved.withheld and saved.totals["verdict"]["level"] == "sound"
    table = study.compare_regularity(company.bases).set_index("unit")
    assert table.loc["fashion", "low"] < 1.25 and table.loc["grocery", "low"] > 2.0


def test_the_holdout_is_scored_against_the_log(company):
    log = company.bases["fashion"].purchases.to_pandas()
    split = pd.Timestamp("2025-06-30")
    known = log.groupby("customer_id")["period"].min().loc[lambda first: first <= split].index
    actual = ((log["period"] > split) & log["customer_id"].isin(known)).sum()
    scores = company.trials["fashion"].scores
    assert scores.actual == actual and scores.customers == len(known)
    assert scores.inside and abs(scores.bias) < 0.12
    table = company.trials["fashion"].by_frequency
    assert table["customers"].sum() == len(known)
    assert table["customers"] @ table["actual"] == pytest.approx(actual)
    assert table["customers"] @ table["expected"] == pytest.approx(scores.mean)
    compared = judgement.compare_trials(company.trials).set_index("unit")
    assert compared.loc["fashion", "actual"] == actual and list(compared.index) == ["fashion", "grocery"]


def test_tracking_counts_the_repeat_purchases(company):
    base = company.bases["fashion"]
    table = company.trials["fashion"].tracking
    log = base.purchases.to_pandas()
    first = log.groupby("customer_id")["period"].transform("min")
    repeats = log[(log["period"] > first) & (first <= pd.Timestamp("2025-06-30"))]
    for row in table.iloc[[10, 80, -1]].itertuples():
        assert row.actual == (repeats["period"] <= row.date).sum()
    last = table.iloc[-1]
    assert last["date"] == pd.Timestamp("2026-06-30")
    assert last["low"] < last["expected"] < last["high"]
    assert last["expected"] == pytest.approx(last["actual"], rel=0.12)
    assert table["expected"].is_monotonic_increasing


def test_tracking_by_the_hour_ends_with_the_last_day():
    at = pd.to_datetime(["2025-07-01 15:00", "2025-07-01 20:00", "2025-07-09 10:00", "2025-07-15 09:00"])
    log = pd.DataFrame({"customer_id": ["a", "a", "b", "a"], "period": at, "value": 1.0})
    purchases = ibis.memtable(log)
    base = SimpleNamespace(
        unit=SimpleNamespace(name="shop", opportunity=None),
        time_unit="hour",
        calibration_end=date(2025, 7, 10),
        purchases=purchases,
        calibration=count_customers(
            purchases, date(2025, 7, 10), time_unit="hour", holdout_end=date(2025, 7, 15)
        ).mutate(pattern=ibis.literal("")),
        end=date(2025, 7, 15),
    )
    draws = purchase_model.Draws(BG_NBD, tuple(np.full(100, v) for v in (1.0, 10.0, 1.0, 4.0)))
    purchase = SimpleNamespace(draws_by_pattern=lambda name, count: {"": draws.thin(count)})
    table = judgement.track_unit(base, study.Models(None, {"shop": purchase}, None, {"shop": plain_calendar()}))
    assert list(table["date"]) == list(pd.to_datetime(["2025-07-01", "2025-07-08", "2025-07-15"]))
    assert list(table["actual"]) == [1, 1, 2]


def test_what_is_saved_of_a_unit(company):
    base = company.bases["fashion"]
    saved = load_value(company.portfolio, "fashion")
    customers = base.customers.to_pandas()
    assert set(saved.customers["customer_id"]) == set(customers["customer_id"])
    assert saved.customers.notna().all().all()
    totals = saved.totals
    assert totals["customers"] == 3000 and totals["alive"] == pytest.approx(saved.customers["p_alive"].sum())
    assert totals["value"]["mean"] == pytest.approx(saved.customers["value"].sum())
    assert totals["purchases"]["mean"] == pytest.approx(saved.customers["expected_purchases"].sum())
    draws = pd.read_parquet(base.folder / "total_draws.parquet")
    assert np.quantile(draws["value"], [0.05, 0.95]) == pytest.approx([totals["value"]["low"], totals["value"]["high"]])
    assert totals["holdout"]["actual"] == company.trials["fashion"].scores.actual
    assert totals["end_of_observation"] == "2026-06-30" and totals["calibration_end"] == "2025-06-30"
    assert 0 < totals["returned_share"] < 0.5 and totals["returned_share"] == base.returned_share
    assert len(saved.tracking) > 100 and saved.by_frequency["customers"].sum() == totals["holdout"]["customers"]
    assert all(path.is_file() for path in company.written)


def test_posteriors_are_saved_with_provenance(company):
    folder = company.portfolio.build_dir / "models" / "clv"
    fit = company.full.purchases["grocery"]
    family = fit.family.name
    names = {f"purchases_{name}_full" for name in company.full.fits} | {"spend_full", "spend_calibration"}
    names |= {f"purchases_{name}_calibration" for name in company.full.fits}
    assert {path.stem for path in folder.iterdir()} == names and len(list(folder.iterdir())) == 2 * len(names)
    trace, notes = inference.load(folder / f"purchases_{family}_full.nc")
    assert (trace["posterior"]["rate"] == fit.trace["posterior"]["rate"]).all()
    assert notes["constants"] == {"fashion": 1, "grocery": 3} and "grocery" in notes["model_of"]
    assert notes["units"] == ["fashion", "grocery"] and notes["seed"] == 1
    assert notes["sampling"] == {"draws": 1000, "tune": 600, "chains": 4, "quick": False}
    assert notes["diagnostics"]["divergences"] == 0 and "pymc" in notes["versions"]
    assert notes["time_scale_days"] == pytest.approx(fit.time_scale)
    calibration = json.loads((folder / f"purchases_{family}_calibration.json").read_text())
    assert calibration["data"] != notes["data"]
    rebuilt = purchase_model.PurchaseFit(
        FAMILIES[family], trace, tuple(notes["units"]), notes["time_scale_days"], None, notes["constants"]
    )
    assert (rebuilt.draws("grocery")["alpha"] == fit.draws("grocery")["alpha"]).all()


def test_the_same_inputs_give_the_same_numbers(company):
    again = study.predict_unit(company.portfolio, company.bases["fashion"], company.full)
    pd.testing.assert_frame_equal(again.rows, company.predictions["fashion"].rows)
    assert (again.value == company.predictions["fashion"].value).all()
    # With a rhythm, too, in the holdout and by few draws.
    fit = company.calibration.purchases["grocery"]
    few = replace(company.calibration, purchases={"grocery": replace(fit, trace=fit.trace.isel(draw=slice(0, 20)))})
    one, other = (
        study.predict_unit(company.portfolio, company.bases["grocery"], few, calibration=True) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one.rows, other.rows)
    assert len(one.value) == 80 and (one.value == other.value).all()


def test_counts_of_the_bases(company):
    table = study.count_bases(company.bases).set_index("unit")
    customers = company.bases["fashion"].customers.to_pandas()
    row = table.loc["fashion"]
    assert row["customers"] == 3000 and row["repeat_buyers"] == (customers["frequency"] > 0).sum()
    assert row["mean_frequency"] == pytest.approx(customers["frequency"].mean())
    assert row["mean_age_days"] == pytest.approx(customers["T"].mean())
    assert row["count_rows"] == len(customers.groupby(["pattern", "frequency", "recency", "T"]))


def test_fewer_draws_than_a_report_takes(company):
    """Two chains of few draws, and a unit of one price, which has no draws of its own."""
    fit = company.full.purchases["grocery"]
    fewer = replace(fit, trace=fit.trace.isel(draw=slice(0, 20)))
    spend = spend_model.SpendFit(None, ("grocery",), {"grocery": 30.0}, None)
    models = study.Models(company.full.choice, {"grocery": fewer}, spend, company.full.calendars)
    found = study.predict_unit(company.portfolio, company.bases["grocery"], models)
    assert len(found.value) == 80 and np.isfinite(found.value).all()
    verdict = judgement.judge_unit(company.bases["grocery"], models, None, found)
    assert "convergence of the spend model" not in {check.name for check in verdict.checks}


def label_of(company, label: str) -> str:
    several = len(company.full.fits) > 1
    return f"{label} ({company.full.purchases['fashion'].family.title})" if several else label


def test_the_criticism_of_the_model(company):
    table = criticism.check_frequencies(company.bases["fashion"], company.full, seed=3)
    assert table["actual"].sum() == 3000 and table["expected"].sum() == pytest.approx(3000, abs=2)
    misplaced = (table["actual"] - table["expected"]).abs().sum() / 2 / table["actual"].sum()
    assert misplaced < 0.06  # the simulated fashion shop is nearly a BG/NBD
    priors = criticism.compare_priors(company.full).set_index(["parameter", "name"])
    for label in (label_of(company, "mean dropout probability"), "p, regularity of spend"):
        prior, posterior = priors.loc[(label, "prior")], priors.loc[(label, "fashion")]
        assert posterior["high"] - posterior["low"] < 0.5 * (prior["high"] - prior["low"])
        assert prior["low"] < posterior["mean"] < prior["high"]
    names = criticism.summarise_posteriors(company.full)["parameter"]
    assert {"rate[fashion]", "q[grocery]"} <= set(names)


def test_nothing_prepared_is_an_error(tmp_path):
    (tmp_path / "company.toml").write_text(CONFIG, encoding="utf-8")
    with pytest.raises(UnfitModelError, match="No non-contractual unit has usable tables; `cvm check` says"):
        read_bases(read_portfolio(tmp_path / "company.toml"))
