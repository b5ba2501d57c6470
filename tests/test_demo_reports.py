"""A small demo company from its tables to its pages: what is built, what is said, and what a change builds again."""

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from cvmlib.cli import app
from cvmlib.portfolio import read_portfolio
from cvmlib.reporting.audit import find_faults
from cvmlib.reporting.build import Result, build_reports
from cvmlib.reporting.stamps import Stamps
from tests import browser
from tests.reporting.conftest import make_notebook
from tests.reporting.shown import csv_tables, plain

ROOT = Path(__file__).parents[1]
SHOP_PAGES = ("summary", "customers", "value", "customer_churn")
PAGES = {
    "index.html", "portfolio.html",
    *(f"models-{name}.html" for name in ("clv", "churn", "journeys", "media_mix", "programs", "value_parts")),
    *("models-actions.html", "models-track_record.html", "fashion/action_plan.html", "mobile/action_plan.html"),
    *(f"{unit}/{page}.html" for unit in ("fashion", "grocery") for page in SHOP_PAGES),
    *("fashion/attribution.html", "fashion/media.html", "mobile/media.html"),
    *(f"{unit}/{page}.html" for unit in ("fashion", "grocery", "mobile") for page in ("programs", "customer_value")),
    *(f"mobile/{page}.html" for page in ("summary", "subscribers", "subscriber_value", "subscriber_churn")),
}  # fmt: skip
READY = "print('ready paths of', unit)"


def write_portfolio(folder: Path) -> Path:
    """Write the demo portfolio, small: three of its units, a twentieth of the customers, shorter chains."""
    text = (ROOT / "business_units.toml").read_text()
    start, end = text.index("[units.boutique]"), text.index("[units.grocery]")
    text = text[:start] + text[end:]
    text = text.replace("scale = 1.0", "scale = 0.05")
    sampling = "[portfolio.sampling]\ndraws = 2000\ntune = 800\nchains = 2\n\n[demo]"
    text = text.replace("[demo]", sampling, 1)
    path = folder / "business_units.toml"
    path.write_text(text)
    return path


def build(folder: Path, jobs: int = 1, **options: object) -> Result:
    return build_reports(read_portfolio(folder / "business_units.toml"), jobs=jobs, **options)


def built(result: Result) -> set[str]:
    return {key for key, outcome in result.outcomes.items() if outcome.state == "built"}


def contents(folder: Path) -> dict[str, bytes]:
    reports = folder / "reports"
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in sorted(reports.rglob("*.html"))}


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> tuple[Path, Result]:
    """Build the small demo company once; its pages, and what the build said of itself."""
    folder = tmp_path_factory.mktemp("company")
    (folder / "pyproject.toml").write_text("")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    path = folder / "notebooks" / "reports" / "09_ready_paths.ipynb"
    make_notebook(path, READY, title="Ready paths", needs=["paths"], settings=["noncontractual"])
    write_portfolio(folder)
    return folder, build(folder, jobs=2)


@pytest.fixture(scope="module")
def pages(company) -> dict[str, str]:
    return {name: content.decode() for name, content in contents(company[0]).items()}


@pytest.fixture
def copy(company, tmp_path) -> Path:
    """Return a copy of the built project that a test may change."""
    return shutil.copytree(company[0], tmp_path / "moved")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: set[str] = set()
        self.alts: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.hrefs.append(given["href"] or "")
        if tag == "img":
            self.alts.append(given.get("alt"))
        self.ids.add(given.get("id") or "")


def read_links(page: str) -> _Links:
    links = _Links()
    links.feed(page)
    links.close()
    return links


def test_every_page_is_built_without_a_failure(company, pages):
    assert company[1].failures == ()
    assert set(pages) == PAGES
    assert {outcome.state for outcome in company[1].outcomes.values()} == {"built"}


def test_every_link_leads_somewhere(company, pages):
    reached = set()
    for name, page in pages.items():
        for href in read_links(page).hrefs:
            if href.startswith("data:"):
                continue
            target, _, anchor = href.partition("#")
            path = ((company[0] / "reports" / name).parent / unquote(target)).resolve() if target else None
            place = path.relative_to((company[0] / "reports").resolve()).as_posix() if path else name
            if path and path.suffix in {".csv", ".parquet"}:
                assert path.is_file(), f"{name} offers {href}"
                continue
            assert place in pages, f"{name} links to {href}"
            assert not anchor or anchor in read_links(pages[place]).ids, f"{name} links to {href}"
            reached.add(place)
    assert reached == PAGES, "every page can be reached"


def test_the_grocery_has_a_model_of_its_rhythm_and_says_why(company, pages):
    totals = pd.read_json(company[0] / "build/business_units/units/grocery/totals.json", typ="series")
    assert totals["model"]["stages"] >= 2 and totals["verdict"]["level"] != "withheld"
    text = plain(pages["grocery/value.html"])
    assert "far more regularly than the BG/NBD assumes, so its forecast is withheld" in text
    assert "Measured is an Erlang shape of" in text and f"Why {totals['model']['title']}? Customers buy by a" in text
    assert totals["model"]["title"] in plain(pages["models-clv.html"])


def test_mobile_and_fashion_have_a_value(pages):
    assert re.search(r"subscribers of Mobile operator will bring a margin of between [\d,.]+ and", plain(
        pages["mobile/summary.html"]))  # fmt: skip
    index = plain(pages["index.html"])
    assert re.search(r"In the next 12 months, the \d+ customers of 3 business units are expected to be worth", index)
    assert "Not counted" not in index


def test_index_says_what_to_supply_for_more_pages(company, pages):
    assert plain(pages["index.html"]).count("Ready paths: supply paths (") == 2
    assert not (company[0] / "reports" / "fashion" / "ready_paths.html").exists()
    assert "page/fashion/ready_paths" not in company[1].outcomes


def test_irregularities_are_disclosed(pages):
    assert "have no customer id" in plain(pages["index.html"])
    assert "have no customer id" in plain(pages["grocery/customers.html"])


def test_pages_stand_alone(company, pages):
    for name, page in pages.items():
        assert find_faults(page) == [], name
        assert "<script" not in page and not re.search(r"https?://(?!www\.w3\.org/)", _outside_data(page)), name
        assert str(company[0]) not in page and str(Path.home()) + "/" not in page and "/tmp/" not in page, name


def _outside_data(page: str) -> str:
    return re.sub(r"data:[^\"]*", "", page)


def test_every_image_has_an_alternative_text(pages):
    found = {name: read_links(page).alts for name, page in pages.items()}
    assert all(alt and len(alt) > 20 for alts in found.values() for alt in alts)
    assert sum(len(alts) for alts in found.values()) > 20


def test_every_page_says_how_its_numbers_were_made(pages):
    for name, page in pages.items():
        foot = plain(page[page.index("<footer") :])
        assert "Data until: 30 June 2026" in foot or "Data until 30 June 2026" in foot, name
        for word in ("Data", "Configuration", "Seed", "cvmlib"):
            assert word in foot, (name, word)
        assert re.search(r"business_units\.toml [0-9a-f]{12}", foot), name


def test_csv_links_hold_the_table_of_the_results(company, pages):
    customers = pd.read_parquet(company[0] / "build/business_units/units/fashion/value.parquet")
    best = csv_tables(pages["fashion/value.html"])["best-customers.csv"]
    expected = customers.nlargest(500, "value").reset_index(drop=True)
    assert best["Customer"].tolist() == expected["customer_id"].tolist()
    pd.testing.assert_series_equal(best["Expected value (EUR)"], expected["value"], check_names=False)
    shown = pages["fashion/value.html"]
    assert f">{expected['customer_id'][0]}<" in shown and f">{expected['value'][0]:,.0f}<" in shown
    for name, page in pages.items():
        for file, table in csv_tables(page).items():
            assert len(table.columns) > 0, (name, file)


def test_nothing_changed_builds_nothing(company):
    before = contents(company[0])
    result = build(company[0])
    assert built(result) == set() and result.written == ()
    assert contents(company[0]) == before


def test_moved_checkout_is_up_to_date(copy, pages):
    result = build(copy)
    assert built(result) == set()
    assert {name: content.decode() for name, content in contents(copy).items()} == pages


def test_page_built_again_is_the_same_to_the_byte(copy):
    before = contents(copy)
    Stamps(read_portfolio(copy / "business_units.toml").build_dir).remove("page/fashion/value")
    (copy / "reports" / "fashion" / "value.html").unlink()
    assert built(build(copy)) == {"page/fashion/value"}
    assert contents(copy) == before


def test_changed_data_of_one_unit_build_only_what_depends_on_it(copy, pages):
    path = copy / "data" / "demo" / "mobile" / "subscriptions.parquet"
    pd.read_parquet(path).iloc[:-5].to_parquet(path)
    text = (copy / "business_units.toml").read_text()
    (copy / "business_units.toml").write_text(re.sub(r"\[demo\].*?(?=\n\[units)", "", text, flags=re.DOTALL))
    result = build(copy, jobs=2)
    assert result.failures == ()
    own = {
        "count/mobile", "model/churn", "page/mobile/summary", "page/mobile/subscribers",
        "page/mobile/subscriber_value", "page/mobile/subscriber_churn", "portfolio",
    }  # fmt: skip
    # Models of all units together read this one too, and so do their pages; the shops' values do not.
    shared = ("model/programs", "model/media_mix", "model/journeys", "model/value_parts")
    shared += ("model/actions", "model/track_record")
    pooled = ("/programs", "/media", "/journeys", "/attribution", "/ready_paths", "/customer_value")
    pooled += ("/action_plan",)
    assert own <= built(result)
    assert all(key in shared or key.endswith(pooled) for key in built(result) - own)
    after = contents(copy)
    untouched = [
        name for name in pages if name.startswith(("fashion", "grocery")) and not any(p in name for p in pooled)
    ]
    assert len(untouched) == 8 and all(after[name].decode() == pages[name] for name in untouched)
    assert after["mobile/summary.html"].decode() != pages["mobile/summary.html"]


def edit_notebook(path: Path, change: Callable) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def test_failing_notebook_keeps_its_page_and_the_command_says_so(copy):
    before = contents(copy)
    path = copy / "notebooks" / "reports" / "03_subscriber_value.ipynb"
    edit_notebook(path, lambda notebook: notebook.cells.append(nbformat.v4.new_code_cell("1 / 0", id="broken")))
    config = str(copy / "business_units.toml")
    said = CliRunner().invoke(app, ["reports", "--config", config, "--jobs", "1"])
    assert said.exit_code == 1
    assert "03_subscriber_value.ipynb, cell" in said.output and "ZeroDivisionError" in said.output
    assert "Traceback" not in said.output
    after = contents(copy)
    assert {name for name, page in before.items() if after[name] != page} == {"index.html"}
    assert "Value was not built: 03_subscriber_value.ipynb" in plain(after["index.html"].decode())
    assert "The page shows an earlier state." in plain(after["index.html"].decode())

    edit_notebook(path, lambda notebook: notebook.cells.__setitem__(-1, nbformat.v4.new_markdown_cell("Mended.")))
    result = build(copy)
    assert result.failures == () and built(result) == {"page/mobile/subscriber_value"}, "only this page read it"
    assert b"Mended." in contents(copy)["mobile/subscriber_value.html"]
    assert {path.name for path in result.written} == {"subscriber_value.html", "index.html"}


def test_check_prints_the_problems(company):
    said = CliRunner().invoke(app, ["check", "--config", str(company[0] / "business_units.toml")])
    assert said.exit_code == 0
    for unit in ("fashion", "grocery", "mobile"):
        assert re.search(rf"^{unit}: usable\. [\d,]+ rows? of ", said.output, re.MULTILINE)
    assert "Handled, and disclosed:" in said.output and "Treatment: dropped" in said.output
    assert "transactions.customer_id: " in said.output


def test_check_of_unusable_tables_exits_with_their_code(copy):
    shutil.rmtree(copy / "data" / "demo" / "mobile")
    text = (copy / "business_units.toml").read_text()
    (copy / "business_units.toml").write_text(re.sub(r"\[demo\].*?(?=\n\[units)", "", text, flags=re.DOTALL))
    said = CliRunner().invoke(app, ["check", "--config", str(copy / "business_units.toml")])
    assert said.exit_code == 3
    assert "mobile: 1 to put right first" in said.output or "to put right first" in said.output
    assert "fashion: usable." in said.output, "the others are checked all the same"


@pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is not installed")
def test_pages_in_a_browser_without_a_network(company):
    paths = sorted((company[0] / "reports").rglob("*.html"))
    seen = browser.visit_all(paths, (1280, 390))
    assert len(seen) == 2 * len(PAGES)
    for (path, width), visit in seen.items():
        name = f"{path.parent.name}/{path.name} at {width}"
        assert visit.requests == [], name
        assert visit.logs == [], name
        assert visit.content_width <= visit.view_width == width, name
