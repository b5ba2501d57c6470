"""The notebook of published tables: its table of print, what is estimated for it, and its page."""

import re
import shutil

import numpy as np
import pytest

from cvmlib.churn import bdw
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.reporting import published_estimates, published_tables
from cvmlib.reporting.single_page import build_page
from tests.published.printed import DATA, ROOT, stored
from tests.reporting.shown import plain

EXAMPLES = ROOT / "examples"
DONATIONS = "donations_bgbb_rf.csv.gz"


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory) -> Portfolio:
    """Return the CDNOW example, reading the public data, in a project of its own with the notebook beside it."""
    stored("clv/cdnow_sample.csv.gz"), stored(f"clv/{DONATIONS}")
    folder = tmp_path_factory.mktemp("published")
    (folder / "pyproject.toml").touch()
    text = (EXAMPLES / "cdnow.toml").read_text(encoding="utf-8")
    (folder / "cdnow.toml").write_text(re.sub(r"\$\{CVM_DATA:-[^}]*\}", DATA.resolve().as_posix(), text))
    for name in ("published_tables.ipynb", "published_tables.csv"):
        shutil.copy(EXAMPLES / name, folder / name)
    return read_portfolio(folder / "cdnow.toml")


@pytest.fixture(scope="module")
def found(portfolio) -> published_estimates.Found:
    return published_estimates.estimate_all(portfolio, DONATIONS)


def test_every_printed_figure_is_reproduced_up_to_its_last_digit(found):
    compared = published_tables.compare(
        published_tables.read_published(EXAMPLES / "published_tables.csv"), found
    ).set_index(["table", "figure"])
    unlike = compared.loc[compared["difference"] != "0", "difference"].to_dict()
    assert unlike == {("BdW, High End", "a"): "-0.0001", ("BdW, High End", "c"): "+0.0001"}


def test_where_print_differs_its_likelihood_is_lower(found):
    survivors = [10 * percent for percent in published_estimates.SURVIVAL["High End"][:5]]
    best = bdw.fit_curve(survivors)
    printed = bdw.Curve(0.2594, 1.7226, 1.5843, 0.0)
    assert found["retention", "BdW, High End", "c"] == best.c

    def log_likelihood(curve: bdw.Curve) -> float:
        share = bdw.survive(range(5), curve)
        left = [a - b for a, b in zip(survivors, survivors[1:], strict=False)]
        gone = sum(n * np.log(a - b) for n, a, b in zip(left, share, share[1:], strict=False))
        return gone + survivors[-1] * np.log(share[-1])

    assert log_likelihood(best) == pytest.approx(best.log_likelihood, rel=1e-12)
    assert log_likelihood(printed) < best.log_likelihood


def test_the_table_of_print_agrees_with_the_stored_reference(reference):
    table = published_tables.read_published(EXAMPLES / "published_tables.csv")
    printed = {(row.table, row.figure): float(row.printed) for row in table.itertuples()}
    sample, more = reference["cdnow_sample"], reference["more_published"]
    holdout = more["cdnow_sample_holdout_39_weeks"]
    models = {
        "BG/NBD": sample["bgnbd"]["published"],
        "Pareto/NBD": sample["pareto_nbd"]["published"],
        "Gamma-Gamma": sample["gamma_gamma"]["published"] | {"ll": sample["gamma_gamma"]["refit"]["ll"]},
        "MBG/NBD": more["mbg_nbd_cdnow_sample"]["published"] | {"ll": more["mbg_nbd_cdnow_sample"]["refit"]["ll"]},
        "NBD": more["nbd_cdnow_sample_refit"],
        "BG/BB": reference["donations_bgbb"]["published"],
        "sBG, Regular": _as_curve(reference["sbg"]["regular"]["published"]),
        "sBG, High End": _as_curve(reference["sbg"]["highend"]["published"]),
        "BdW, High End": _as_curve(more["bdw_high_end_years_1_4"]["published"]),
    }
    checked = 0
    for model, values in models.items():
        for name, value in values.items():
            assert printed[model, {"ll": "log-likelihood"}.get(name, name)] == value, (model, name)
            checked += 1
    assert checked == 34
    for model, key in (("BG/NBD", "bg_nbd"), ("Pareto/NBD", "pareto_nbd")):
        figure = printed["Weeks 40 to 78", f"{model}, correlation with the purchases made"]
        assert figure == holdout["correlation"][key]
        figure = printed["Weeks 1 to 78", f"{model}, percent of sales too low"]
        assert figure == holdout["week78_cumulative_underforecast_pct"][key]
    assert printed["Weeks 40 to 78", "correlation of the two forecasts"] == holdout["correlation"]["between"]
    counts = [value for (title, _), value in printed.items() if title == "Counts of the sample"]
    assert counts == [sample["customers"], sample["repeat_calibration"], sample["repeat_holdout_39_weeks"]]
    for name, key in (("Regular", "regular"), ("High End", "high_end")):
        assert list(published_estimates.SURVIVAL[name]) == more["survival_pct_years_0_12"][key][:8]


def _as_curve(values: dict) -> dict:
    return {{"alpha": "a", "beta": "b"}.get(name, name): value for name, value in values.items()}


def test_the_notebook_becomes_a_page(portfolio):
    page = build_page(portfolio.root / "published_tables.ipynb", portfolio.root, {})
    assert page == portfolio.root / "reports" / "published_tables.html", page
    html = page.read_text(encoding="utf-8")
    text = plain(html)
    assert "Of 48 published figures, 46 are reproduced to every printed digit; the others differ by one in the" in text
    assert "Independent refits reproduced 5 of 5" in text
    assert "BdW, High End, c: printed 1.5843, here 1.5844." in text
    assert "-33225.6" in text and "FHL 2005, table 2" in text
    assert str(portfolio.root) not in html and "index.html" not in html


def test_missing_donations_are_named(portfolio):
    failure = build_page(portfolio.root / "published_tables.ipynb", portfolio.root, {"donations": "none.csv"})
    assert failure.kind == "data"
    assert "The donations could not be read: there is no file" in failure.message
    assert "Give the file as the parameter donations" in failure.message


def test_fits_are_refused_without_the_columns(tmp_path):
    path = tmp_path / "donors.csv"
    path.write_text("frequency,recency,donors\n1,2,3\n")
    with pytest.raises(DataError, match="donors.csv has no column periods, weights; it has frequency"):
        published_estimates.read_donations(path)
