"""What pages say of the tests behind the media mix, of those that cannot be used, and of returns that are doubted."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.attribution.budget import Advice
from cvmlib.attribution.budget_options import BudgetOptions
from cvmlib.attribution.media_experiments import EXPERIMENTS, ROW
from cvmlib.reporting import media_words as words

DAY = pd.Timestamp("2026-03-02")


def list_tests(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Tests as (channel, source, reason); those without a reason are used."""
    known = {"unit": "shop", "design": "regional", "first": DAY, "last": DAY + pd.Timedelta(days=41), "spend": 1e3}
    known |= {"lift": 1.5e3, "lift_low": 1e3, "lift_high": 2e3, "share": 0.2}
    parts = [known | {"channel": c, "source": s, "reason": why, "used": not why} for c, s, why in rows]
    return pd.DataFrame(parts, columns=list(EXPERIMENTS))


def test_every_channel_is_named_with_the_tests_behind_it():
    table = list_tests(("tv", "Dark weeks", ""), ("tv", ROW, ""), ("radio", ROW, ""), ("radio", ROW, ""))
    text = words.describe_experiments(table)
    assert text == "Tests calibrate radio by 2 supplied lift tests and tv by Dark weeks and a supplied lift test."


def test_a_test_that_is_not_used_is_said_with_its_reason():
    table = list_tests(("tv", "Dark weeks", ""), ("radio", "Jingle", "the spend on radio hardly changed"))
    text = words.describe_experiments(table)
    assert text.endswith("Not used: Jingle (radio): the spend on radio hardly changed.")
    shown, formats = words.name_experiments(table)
    assert shown["Calibrates"].tolist() == ["yes", "no"] and shown["Tested by"].tolist() == ["regions", "regions"]
    assert shown["Why not"].tolist()[1] == "the spend on radio hardly changed" and set(formats) <= set(shown.columns)
    used, _ = words.name_experiments(table[table["used"]])
    assert "Why not" not in used.columns and "Tested by" in used.columns
    nothing = words.describe_experiments(table[~table["used"]])
    assert nothing.startswith("No test that was run could be used. Jingle (radio)")


def test_no_tests_at_all_are_said():
    assert "No lift test stands behind these channels" in words.describe_experiments(list_tests())


def test_returns_that_a_plan_does_not_count_on_in_full_are_said():
    """Straight lines of 200, 50 and -10 a week at today's spend of 100; the model says 300, 50 and -5."""
    levels = np.array([0.0, 1.0, 2.0])
    brought, bounds = np.array([200.0, 50.0, -10.0]), [np.full(3, value) for value in (0.7, 1.3, 0.0, 2.0)]
    response = np.tile(brought[:, None] * levels, (4, 1, 1))
    undoubted = np.array([300.0, 50.0, -5.0])
    options = BudgetOptions(("tv", "radio", "print"), np.full(3, 100.0), *bounds, levels, response, undoubted)
    advice = Advice(options, np.ones(3), np.zeros(4), True, "")
    text = words.describe_doubts(advice)
    assert "whole return of tv (2.00 of 3.00): " in text and "radio" not in text and "print" not in text
    assert words.describe_doubts(Advice(replace(options, undoubted=brought), np.ones(3), np.zeros(4), True, "")) == ""
