"""The harness of the benchmarks: what it measures, what it keeps, and what it prints."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import results, run
from benchmarks.measure import ROOT, clean_environment, cold_environment, copy_checkout, measure, measure_module
from benchmarks.tasks import write_transactions, write_units
from benchmarks.tasks.censoring import fit_following, weigh
from benchmarks.tasks.customers import BASES, group, simulate_log, simulate_units
from cvmlib.churn import metrics
from cvmlib.portfolio import read_portfolio
from cvmlib.tables.sources import mapped_table

BUSY = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"


def record(name, commit="c", unit="CPU s", figure=1.0, bar=2.0, peer=None):
    return results.Figure(name, figure, unit, bar, peer, "peer 1.0" if peer else "").record(commit)


def test_cpu_of_children_and_grandchildren_is_counted():
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}], check=True); print(7)"
    usage = measure([sys.executable, "-c", parent])
    assert 0.4 <= usage.cpu < 3
    assert usage.wall > 0
    assert usage.last_json() == 7


def test_peak_memory_is_that_of_the_largest_process():
    small = measure([sys.executable, "-c", "pass"])
    large = measure([sys.executable, "-c", "block = bytearray(200_000_000); block[::4096] = b'x' * len(block[::4096])"])
    assert 0.2 < large.memory < 1
    assert large.memory - small.memory > 0.1


def test_failed_command_is_an_error():
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure([sys.executable, "-c", "raise SystemExit(3)"])


def test_caches_of_this_checkout_are_not_inherited(monkeypatch):
    monkeypatch.setenv("PYTENSOR_FLAGS", "base_compiledir=elsewhere")
    monkeypatch.setenv("KEPT", "1")
    env = clean_environment(PYTHONPATH="src")
    assert "PYTENSOR_FLAGS" not in env
    assert (env["KEPT"], env["PYTHONPATH"]) == ("1", "src")


def test_cold_caches_are_empty_ones(tmp_path):
    env = cold_environment(tmp_path)
    assert f"base_compiledir={tmp_path}" in env["PYTENSOR_FLAGS"] and "numba__fastmath=0" in env["PYTENSOR_FLAGS"]
    assert env["NUMBA_CACHE_DIR"].startswith(str(tmp_path))
    assert measure_module("json.tool", "--help", env=env).output


def test_record_has_every_key_and_says_whether_the_bar_is_met():
    assert record("a") == {
        "name": "a",
        "figure": 1.0,
        "unit": "CPU s",
        "bar": 2.0,
        "met": True,
        "peer": None,
        "ratio": None,
        "commit": "c",
    }
    missed = record("a", figure=3.0, peer=12.0)
    assert (missed["met"], missed["peer"], missed["ratio"]) == (False, "peer 1.0", 4.0)


def test_figures_computed_by_numpy_can_be_written(tmp_path):
    new = results.Figure("a", np.float64(1.0), "CPU s", np.float64(2.0)).record("c")
    assert results.write([new], tmp_path / "results.json") == [new]


def test_one_benchmark_replaces_its_own_records_only(tmp_path):
    path = tmp_path / "results.json"
    results.write([record("a", unit="GB"), record("a"), record("b")], path)
    kept = results.write([record("a", figure=1.5)], path)
    assert [(r["name"], r["figure"]) for r in kept] == [("a", 1.5), ("b", 1.0)]
    assert json.loads(path.read_text()) == kept
    assert [r["name"] for r in results.write([record("c", commit="later")], path)] == ["c"]


def test_table_shows_what_misses_its_bar():
    table = results.as_table([record("a"), record("b", figure=3.0, peer=6.0)]).splitlines()
    assert [line.split()[0] for line in table] == ["benchmark", "a", "b"]
    assert table[2].split() == ["b", "3.00", "2", "CPU", "s", "NO", "peer", "1.0", "2.0", "x"]


def test_benchmarks_have_their_names():
    names = {"reports-cold", "reports-unchanged", "fit-pooled-24k", "fit-pooled-100k", "counts-10m"}
    assert set(run.find_benchmarks()) >= names | {"clv-million", "clv-growth"}


def test_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "no-such"])
    assert "counts-10m" in capsys.readouterr().err


def test_copied_checkout_has_sources_but_nothing_built(tmp_path):
    copy_checkout(tmp_path)
    assert (tmp_path / "pyproject.toml").read_text() == (ROOT / "pyproject.toml").read_text()
    assert not any((tmp_path / name).exists() for name in (".venv", ".tools", ".cache", "build", "data/demo", ".git"))


def test_benchmark_log_is_what_its_portfolio_maps(tmp_path):
    write_transactions.write(tmp_path, 2_000)
    log = mapped_table(read_portfolio(tmp_path / "portfolio.toml"), "shop", "transactions").to_pandas()
    assert len(log) == 2_000
    assert log["customer_id"].nunique() > 50
    assert log["date"].between(pd.Timestamp("2023-06-30"), pd.Timestamp("2026-07-01"), inclusive="left").all()
    assert (log["value"] > 0).all()


@pytest.mark.parametrize("base", BASES)
def test_simulated_customers_have_the_units_and_ages_asked_for(base):
    shares, (youngest, below) = BASES[base]
    customers = simulate_units(1_200, base)
    assert customers["unit"].value_counts().to_dict() == {unit: round(1_200 * share) for unit, share in shares.items()}
    assert customers["T"].between(youngest, below - 1).all() and (customers["recency"] <= customers["T"]).all()
    assert ((customers["recency"] > 0) == (customers["frequency"] > 0)).all()
    assert group(customers)["customers"].sum() == 1_200


def test_simulated_log_holds_what_its_customers_did():
    end = write_units.END
    customers = simulate_units(2_000, "two-years")
    log = simulate_log(customers, end)
    assert log["day"].is_monotonic_increasing and (log["value"] > 0).all()
    days = log.groupby("customer")["day"].agg(["min", "max", "size"])
    assert ((end - days["min"]).dt.days == customers["T"]).all()
    assert ((days["max"] - days["min"]).dt.days == customers["recency"]).all()
    assert (days["size"] == customers["frequency"] + 1).all()
    assert (log.groupby("customer")["unit"].first() == customers["unit"]).all()


def test_log_of_units_is_what_its_portfolio_maps(tmp_path):
    write_units.write(tmp_path, 1_000)
    portfolio = read_portfolio(tmp_path / "portfolio.toml")
    assert set(portfolio.units) == set(BASES[write_units.BASE][0])
    found = {name: mapped_table(portfolio, name, "transactions").to_pandas() for name in portfolio.units}
    assert {name: log["customer_id"].nunique() for name, log in found.items()} == {
        "a": 500,
        "b": 300,
        "c": 150,
        "d": 50,
    }
    assert portfolio.horizon_months == 12 and not portfolio.holdout_months


def test_weights_given_the_columns_make_up_for_who_was_not_followed():
    """Calm subscribers are followed longer: scored by the weights, the truth is as good as if all had been followed."""
    rng = np.random.default_rng(1)
    calm = rng.random((60_000, 2)) < 0.5
    leaves = rng.geometric(0.12 * 0.3 ** calm[:, 0] * 0.7 ** calm[:, 1])
    ceases = rng.geometric(0.15 * 0.2 ** calm[:, 0]) - 1
    truth = 1 - (1 - 0.12 * 0.3 ** calm[:, 0] * 0.7 ** calm[:, 1]) ** 6
    outcomes = metrics.Outcomes(np.minimum(leaves, ceases).astype(float), leaves <= ceases, np.ones(len(leaves)))
    weight = weigh(outcomes, fit_following(outcomes, calm.astype(float), 6), 6)
    case, known = leaves <= 6, weight > 0
    error = (case - truth) ** 2
    assert np.average(error, weights=weight) == pytest.approx(error.mean(), abs=0.003)
    assert weight.sum() == pytest.approx(len(weight), rel=0.01)
    assert (known == ((leaves <= 6) & outcomes.event | (outcomes.time > 6))).all()
    alike = 1 / metrics.estimate_censoring(outcomes).at(np.minimum(outcomes.time, 6))
    assert abs(np.average(error[known], weights=alike[known]) - error.mean()) > 0.01
