"""The part of the value page that tells when customers buy, and the calendars on the page of the models."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np

from cvmlib.clv.calendar import Calendar, plain_calendar
from cvmlib.clv.study import Models
from cvmlib.reporting import calendar_page
from tests.reporting.saved import make_unit
from tests.reporting.shown import capture, untraced


def test_says_when_they_buy_and_what_all_share(monkeypatch):
    seen = capture(monkeypatch, False)
    calendar_page.show_calendar(make_unit())
    assert "Of the 12 months ahead, the strongest week begins on 30 December 2026, at 148% of the usual" in seen.prose
    assert "the weakest on 5 August 2026, at 76%" in seen.prose
    assert "at 93% to 109% of the usual, most likely 100%" in seen.prose


def test_every_number_is_in_a_table(monkeypatch):
    unit = make_unit()
    seen = capture(monkeypatch, False)
    calendar_page.show_calendar(unit)
    assert untraced(seen.prose, [*seen.tables.values(), [12, 90, 2026, 5, 30]]) == []


def test_without_a_calendar_it_says_so(monkeypatch):
    seen = capture(monkeypatch, False)
    calendar_page.show_calendar(replace(make_unit(), calendar=None))
    assert "No calendar was estimated" in seen.prose


def test_a_withheld_unit_shows_no_forecast(monkeypatch):
    seen = capture(monkeypatch, False)
    calendar_page.show_calendar(make_unit("withheld"))
    assert "withheld" in seen.prose and "%" not in seen.text


def test_models_page_shows_each_calendar_with_its_scales(monkeypatch):
    paths = np.exp(np.random.default_rng(1).normal(0, 0.1, (50, 20)))
    edges = 20_000.0 + 7.0 * np.arange(21)
    scales = {"season": np.full(50, 0.25), "memory": np.full(50, 91.0)}
    known = np.where(np.arange(20) < 12, 30.0, 0.0)
    calendar = Calendar(edges[12], edges, paths.mean(axis=0), paths, scales, known, known)
    bases = {"shop": SimpleNamespace(unit=SimpleNamespace(label="Corner shop"), end=date(2024, 12, 31))}
    seen = capture(monkeypatch, False)
    calendar_page.show_calendars(bases, Models(None, {}, None, {"shop": calendar}))
    assert "0.25 (0.25 to 0.25)" in seen.text and "91 (91 to 91)" in seen.text
    seen = capture(monkeypatch, False)
    calendar_page.show_calendars(bases, Models(None, {}, None, {"shop": plain_calendar()}))
    assert "operational time is time" in seen.prose
