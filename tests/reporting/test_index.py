"""What the index says of the portfolio and its units."""

import json
import re
from html import unescape

import pytest


@pytest.fixture
def index(project, build):
    """Build the index anew after the totals of the units were changed."""
    build()

    def read(**changes):
        for unit, change in changes.items():
            path = project / "build" / "business_units" / "units" / unit / "totals.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | change))
        build()
        text = (project / "reports" / "index.html").read_text().split("<body>")[1]
        return unescape(re.sub(r"<[^>]+>", " ", text))

    return read


def test_portfolio_is_told_in_words(index):
    text = index()
    assert (
        "In the next 12 months, the 2,400 customers of 2 business units are expected to be worth "
        "between 8.2 and 10.6 million EUR, most likely 9.2." in text
    )
    assert "on the wide side" in text
    assert "Next 12 months: between 4.1 and 5.3 million EUR, most likely 4.6." in text
    assert "The holdout was met." in text


def test_withheld_unit_shows_no_number_and_does_not_count(index):
    verdict = {"level": "withheld", "headline": "The model does not fit.", "reasons": []}
    text = index(small={"verdict": verdict})
    assert "the 1,200 customers of Big shop are expected to be worth between 4.1 and 5.3" in text
    assert "Not counted, because the verdict is withheld: <script>alert(1)</script>." in text
    assert text.count("Next 12 months:") == 1
    assert "The model does not fit." in text


def test_no_unit_has_a_value(index):
    nothing = {"value": None}
    text = index(big=nothing, small=nothing)
    assert "expected to be worth" not in text
    assert "1,200 customers" in text


def test_total_of_the_portfolio_notebook_is_preferred(project, index):
    path = project / "build" / "business_units" / "portfolio.json"
    path.write_text(json.dumps({"value": {"mean": 9.2e6, "low": 8.6e6, "high": 9.9e6}}))
    text = index()
    assert "between 8.6 and 9.9 million EUR, most likely 9.2." in text
    assert "on the wide side" not in text


def test_unit_without_a_model_is_listed_with_its_pages(index):
    text = index()
    assert "No value yet" in text and "Phone" in text


def test_provenance_is_told_without_the_place_of_the_project(project, index):
    assert "Data until : 30 June 2026" in re.sub(r"\s+", " ", index().replace(" 30", " : 30"))
    assert str(project) not in (project / "reports" / "index.html").read_text()
