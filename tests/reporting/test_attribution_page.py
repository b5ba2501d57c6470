"""The attribution page: verdict first, every number from a table, and what cannot be known said."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from cvmlib.attribution.prepare import load_unit
from cvmlib.attribution.study import load_study, save_study, study_unit
from cvmlib.portfolio import read_portfolio
from cvmlib.reporting import attribution_models as models
from cvmlib.reporting import attribution_page as page
from cvmlib.reporting import attribution_tables as tables
from cvmlib.reporting import attribution_words as words
from cvmlib.tables.demo.journeys import simulate_app
from tests.reporting.shown import capture

PORTFOLIO = """
[portfolio]
name = "Shop"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.10
[units.app]
label = "The app"
setting = "noncontractual"
margin = 0.45
[units.app.tables.touchpoints]
path = "touchpoints.parquet"
columns = { customer_id = "visitor", time = "touched_at" }
[units.app.tables.conversions]
path = "conversions.parquet"
columns = { customer_id = "visitor", time = "converted_at", value = "order_value" }
"""
HOLDOUTS = """
[units.app.tables.holdouts]
path = "holdouts.parquet"
columns = { customer_id = "visitor", start = "first_day", end = "last_day" }
"""


def make_study(folder, text):
    app = simulate_app(1_500, 2, date(2026, 6, 30))
    (folder / "data").mkdir()
    (folder / "pyproject.toml").touch()
    for name in ("touchpoints", "conversions", "holdouts"):
        parquet.write_table(getattr(app, name), folder / "data" / f"{name}.parquet")
    (folder / "shop.toml").write_text(text, encoding="utf-8")
    portfolio = read_portfolio(folder / "shop.toml")
    data = load_unit(portfolio, "app")
    save_study(data, study_unit(portfolio, data, draws=40))
    return portfolio, data, load_study(data.folder)


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("tested"), PORTFOLIO + HOLDOUTS)


@pytest.fixture(scope="module")
def untested(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("untested"), PORTFOLIO)


def test_every_method_shares_out_everything_and_calibration_leaves_a_rest(tested):
    _, _, study = tested
    total = study.notes["conversions"]
    sums = study.methods.groupby("method")["conversions"].sum()
    for method in tables.CREDITS:
        assert sums[method] == pytest.approx(total, rel=1e-9)
    assert sums["calibrated"] == pytest.approx(total, rel=1e-6)
    assert "no channel" in set(study.methods.loc[study.methods["method"] == "calibrated", "channel"])
    assert study.refused.empty


def test_the_page_opens_with_what_was_caused(tested, monkeypatch):
    _, _, study = tested
    seen = capture(monkeypatch)
    compared = page.compare(study)
    page.show_verdict(study, compared, "EUR")
    assert "marketing caused" in seen.text and "would have come anyway" in seen.text
    assert "only an experiment does" in seen.text
    page.show_comparison(study, compared)
    side = seen.tables["methods-side-by-side.csv"]
    assert {"Channel", "First touch", "Markov", "Shapley", "Calibrated", "Experiment"} <= set(side.columns)
    assert len(seen.images) == 1 and "furthest apart on" in seen.images[0]


def test_every_part_can_be_shown(tested, monkeypatch):
    portfolio, data, study = tested
    seen = capture(monkeypatch)
    compared = page.compare(study)
    page.show_disagreements(study, compared)
    page.show_tests(study)
    page.show_next_tests(study, "EUR")
    page.show_credit(study, "EUR", 0.9)
    page.show_stages(study)
    page.show_movers(study, 0.9)
    page.show_media(portfolio, "app", compared)
    page.show_findings(data, "EUR")
    assert "supply media and outcomes" in seen.text
    assert "counted once" in seen.text and "look-back window" in seen.text
    assert all("nan" not in part.lower() for part in (seen.prose,))


def test_without_experiments_the_page_warns(untested, monkeypatch):
    _, _, study = untested
    level, headline, _ = words.judge(study, page.compare(study).found)
    assert level == "caution" and "no channel was ever tested" in headline
    assert "calibrated" in set(study.refused["method"])
    seen = capture(monkeypatch)
    page.show_tests(study)
    page.show_next_tests(study, "EUR")
    assert "Supply the table holdouts" in seen.text and "cannot be weighed" in seen.text


def test_a_media_mix_stands_as_one_more_column(tested):
    _, _, study = tested
    more = tables.share_tables(study)["linear"].assign(share=0.05, low=0.0, high=0.1).head(3)
    compared = page.compare(study, {"media": more}, {"media": "Media mix"})
    assert "media" in set(compared.frame["method"]) and compared.causes[-1] == "media"
    assert "Media mix" in tables.side_by_side(compared.frame, compared.names).columns


def test_a_media_mix_is_held_against_the_experiments():
    rows = [
        ("linear", "social", 0.3, 0.2, 0.4), ("experiment", "social", 0.1, 0.05, 0.15),
        ("media", "social", 0.12, 0.08, 0.2), ("media", "tv", 0.1, 0.0, 0.2),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["method", "channel", "share", "low", "high"])
    text = words.describe_media(frame, "media")
    assert "tv leaves no touch in these journeys" in text and "For social its intervals" in text
    frame.loc[2, ["low", "high"]] = (0.16, 0.3)
    assert "For social its interval and that of the experiments do not meet" in words.describe_media(frame, "media")
    assert words.describe_media(frame[frame["method"] == "linear"], "media") == ""


def test_the_models_notebook_shows_its_parts(tested, monkeypatch):
    portfolio, data, study = tested
    seen = capture(monkeypatch)
    units, studies = {"app": data}, {"app": study}
    models.show_findings(portfolio, units)
    models.show_orders(studies)
    models.show_removals(studies)
    models.show_posteriors(portfolio, units, studies, draws=20)
    models.show_coalitions(units)
    assert "effects of both signs are no shares" in seen.text
    posterior = next(table for name, table in seen.tables.items() if "posterior" in name)
    assert (posterior["dirichlet, from"] <= posterior["dirichlet, to"]).all()


def test_refused_units_are_told(tested, monkeypatch):
    portfolio, _, _ = tested
    seen = capture(monkeypatch)
    models.show_refused(portfolio, {"app": "Conversions without touches: none of the 3 customers …"})
    assert "The app: its journeys cannot be used." in seen.text and "Withheld" in seen.text


def test_the_same_seed_gives_the_same_study(tested):
    portfolio, data, study = tested
    again = study_unit(portfolio, data, draws=40)
    assert np.array_equal(again.methods["high"].to_numpy(), study.methods["high"].to_numpy(), equal_nan=True)
