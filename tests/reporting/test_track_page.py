"""The track-record page: how many forecasts held, which way they were off, and what is still open."""

import pandas as pd

from cvmlib.decisions.track_record import COLUMNS, Record
from cvmlib.reporting import track_page
from tests.reporting.shown import HOSTILE, capture


def make_record(settled=20, held=18, drift=0.0):
    rows = [
        {"unit": "shop", "made_on": "2025-12-31" if i < settled // 2 else "2026-03-31", "quantity": "purchases",
         "group": "all" if i % 2 else "bought once", "months": 3, "ends": "2026-03-31", "mean": 100.0, "low": 90.0,
         "high": 110.0, "interval": 0.9, "replayed": i < 5, "actual": 100.0 * (1 + drift), "inside": i < held,
         "error": drift if i >= settled // 2 else 0.0}
        for i in range(settled)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "actual", "inside", "error"])
    return Record("shop", HOSTILE, "EUR", frame, frame[COLUMNS].head(2))


def test_every_part_is_shown(monkeypatch):
    seen, record = capture(monkeypatch), make_record()
    for part in (track_page.show_verdict, track_page.show_outcomes, track_page.show_scores, track_page.show_open):
        part(record)
    assert "Of 20 forecasts" in seen.text and "90% held; 90% were promised to" in seen.text
    assert "5 of them were replayed" in seen.text and HOSTILE not in seen.markup


def test_level_follows_the_coverage():
    assert track_page.judge_record(make_record())[0] == "sound"
    assert track_page.judge_record(make_record(held=10))[0] == "caution"
    assert track_page.judge_record(make_record(settled=0))[0] == "info"


def test_drift_of_the_latest_forecasts_is_told():
    told = " ".join(track_page.list_reasons(make_record(drift=0.3)))
    assert "The forecasts of 2026-03-31 are off to one side: 30% more came than was forecast." in told
    assert "off to one side" not in " ".join(track_page.list_reasons(make_record(drift=0.05)))


def test_nothing_settled_is_said_in_words(monkeypatch):
    seen, record = capture(monkeypatch), make_record(settled=0)
    for part in (track_page.show_verdict, track_page.show_outcomes, track_page.show_scores):
        part(record)
    assert "none has come to its end yet" in seen.text and "cvm rerun" in seen.text
