"""The notebook 02_customers on bases of every shape: it must show something true, or say why it cannot."""

import html
import json
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.reporting import show
from cvmlib.tables.problems import CheckReport, Problem
from tests.clv.bases import END, customers_of, random_base

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "reports" / "02_customers.ipynb"
HOSTILE = "<script>alert(1)</script>"


def _checks():
    found = Problem(
        "shop",
        "transactions",
        "customer_id",
        "missing_customer_id",
        False,
        f"3 rows have {HOSTILE}",
        "dropped.",
        3,
        40.0,
    )
    return CheckReport("shop", END, [found], {"transactions": 1_000}, {"transactions": {"rows_used": 997}})


def _run(monkeypatch, frame, end=END, **columns):
    """Run the notebook's cells on a base; return the text a reader sees and the HTML behind it."""
    import cvmlib.clv.prepare
    import cvmlib.portfolio

    portfolio = SimpleNamespace(currency="EUR", interval=0.9, seed=1)
    data = SimpleNamespace(
        portfolio=portfolio,
        unit=SimpleNamespace(name="shop", label=f"Shop {HOSTILE}"),
        purchases=ibis.memtable(frame),
        customers=ibis.memtable(customers_of(frame).assign(**columns)),
        checks=_checks(),
        end=end,
        returned_share=0.05,
    )
    shown = []
    monkeypatch.setattr(cvmlib.portfolio, "read_portfolio", lambda config: portfolio)
    monkeypatch.setattr(cvmlib.clv.prepare, "load_unit", lambda portfolio, unit: data)
    monkeypatch.setattr(show, "_show", lambda markup, plain: shown.append(markup))
    names: dict = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)  # noqa: S102
    markup = "\n".join(shown)
    text = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r'(src|href)="data:[^"]*"', "", markup)))
    text = re.sub(r"\s+", " ", text)
    assert not re.search(r"\b(nan|inf|NaT|None|not known)\b", text)
    return text, markup


def test_ordinary_base(monkeypatch):
    frame = random_base()
    channels = np.where(np.arange(300) % 2 == 0, HOSTILE, "search")
    text, markup = _run(monkeypatch, frame, acquisition_channel=channels)
    assert "has 300 customers;" in text
    assert "came back after more than 12 months" in text
    assert "February 2023 was observed in part" in text
    assert "In percentage points, that is" in text
    assert "in the first quarter after that of their first purchase" in text
    assert "days buy again" in text
    assert "The best 20% of customers bring" in text
    assert "Most customers came through" in text
    assert "1,000 rows of transactions were supplied and 997 are used (3 rows set aside)" in text
    assert markup.count("<figure") >= 10
    assert markup.count("alt=") == markup.count("<img")


def test_names_from_data_are_text(monkeypatch):
    channels = np.where(np.arange(300) % 2 == 0, HOSTILE, "search")
    _, markup = _run(monkeypatch, random_base(), acquisition_channel=channels)
    assert "<script" not in markup
    assert markup.count("&lt;script&gt;") >= 3


def test_three_months(monkeypatch):
    text, _ = _run(monkeypatch, random_base(60, date(2026, 4, 1)))
    assert "the history is too short to tell the active from the lapsed" in text
    assert "less than two years, so there is no earlier year" in text
    assert "in the first month after that of their first purchase" in text
    assert "supply the table customers with the column acquisition_channel" in text


def test_ten_years(monkeypatch):
    text, _ = _run(monkeypatch, random_base(400, date(2016, 7, 1)))
    assert "in the first year after that of their first purchase" in text


def test_nobody_came_back(monkeypatch):
    frame = random_base(120).groupby("customer_id", as_index=False).first()
    text, _ = _run(monkeypatch, frame)
    assert "Nobody has bought more than once yet." in text
    assert "Too few customers have bought again" in text
    assert "Nobody has bought twice yet" in text


@pytest.mark.parametrize(
    ("customers", "start", "end"),
    [(1, date(2026, 5, 1), END), (1, date(2023, 5, 1), END), (30, date(2026, 6, 10), date(2026, 6, 20))],
    ids=["one-customer", "one-customer-three-years", "ten-days"],
)
def test_hardly_anything(monkeypatch, customers, start, end):
    text, _ = _run(monkeypatch, random_base(customers, start, end), end)
    assert f"has {customers} customer" in text
    assert "shares can change much with a few of them" in text


def test_one_day(monkeypatch):
    frame = pd.DataFrame({"customer_id": ["a", "b"], "period": pd.to_datetime(["2026-06-30"] * 2), "value": [5.0, 0.0]})
    text, _ = _run(monkeypatch, frame)
    assert "has 2 customers" in text
    assert "The history holds no complete month yet" in text


def test_nothing_was_paid(monkeypatch):
    text, _ = _run(monkeypatch, random_base(40).assign(value=0.0))
    assert "Nobody has spent anything yet." in text


def test_hours(monkeypatch):
    frame = random_base(150)
    frame["period"] += pd.to_timedelta(np.arange(len(frame)) % 24, unit="h")
    text, _ = _run(monkeypatch, frame)
    assert "has 150 customers" in text


def test_one_channel_and_unknown_channels(monkeypatch):
    text, _ = _run(monkeypatch, random_base(80), acquisition_channel=[None] * 79 + ["search"])
    assert "Most customers came through not stated" in text
    text, _ = _run(monkeypatch, random_base(80), acquisition_channel=[None] * 80)
    assert "supply the table customers" in text


def test_notebook_keeps_the_rules():
    notebook = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) < 25
    assert all(len(cell["source"]) <= 12 and not cell["outputs"] for cell in code)
    assert not [line for cell in code for line in cell["source"] if re.match(r"\s*(def|class|for|while)\b", line)]
    assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
