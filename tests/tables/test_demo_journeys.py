"""The app's journeys: what caused what, what was withheld, and tables that stay the same."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.tables.demo.journeys import BASELINE, CHANNELS, PROSPECTS, TESTS, WEEKS, simulate_app

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def app():
    return simulate_app(4_000, 3, END)


@pytest.fixture(scope="module")
def frames(app):
    return app.touchpoints.to_pandas(), app.conversions.to_pandas(), app.holdouts.to_pandas()


def test_equal_arguments_give_equal_tables(app):
    again = simulate_app(4_000, 3, END)
    assert all(getattr(app, name).equals(getattr(again, name)) for name in ("touchpoints", "conversions", "holdouts"))
    assert not app.conversions.equals(simulate_app(4_000, 4, END).conversions)


def test_the_records_cover_the_weeks_up_to_the_end(frames):
    touches, conversions, _ = frames
    first, last = pd.Timestamp(END) - pd.Timedelta(days=7 * WEEKS - 1), pd.Timestamp(END) + pd.Timedelta(days=1)
    for moment in (touches["touched_at"], conversions["converted_at"]):
        assert first <= moment.min() < first + pd.Timedelta(days=1)
        assert last - pd.Timedelta(days=1) < moment.max() <= last + pd.Timedelta(minutes=3)


def test_touches_cause_what_the_truth_says(app):
    """A channel causes a Poisson number per touch; touches near the end have not acted in full."""
    truth = app.truth.set_index("channel")
    for channel in CHANNELS:
        expected = channel.effect * truth.loc[channel.name, "touches"]
        assert truth.loc[channel.name, "conversions"] == pytest.approx(
            expected, abs=5 * np.sqrt(expected) + 0.1 * expected
        )
    assert truth["conversions"].sum() == app.conversions.num_rows
    assert 0.4 < truth.loc[BASELINE, "conversions"] / app.conversions.num_rows < 0.8
    assert truth["value"].sum() == pytest.approx(app.conversions["order_value"].to_pandas().sum())


def test_what_is_withheld_is_not_met(frames):
    touches, _, holdouts = frames
    assert set(holdouts["channel"]) == {test.channel for test in TESTS}
    assert holdouts.groupby("channel")["visitor"].nunique().eq(round(4_000 * (1 + PROSPECTS))).all()
    share = (holdouts["arm"] == "treated").mean()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(holdouts)))
    met = touches.merge(holdouts, on=["channel", "visitor"])
    day = met["touched_at"].dt.floor("D")
    inside = met[(day >= met["first_day"].astype("datetime64[s]")) & (day <= met["last_day"].astype("datetime64[s]"))]
    by_arm = inside.groupby(["channel", "arm"]).size().unstack(fill_value=0)
    # a second firing may fall past midnight of the day before the test
    assert by_arm.get("control", pd.Series(0, index=by_arm.index)).le(2).all() and by_arm["treated"].gt(50).all()


def test_demand_capture_looks_good_and_causes_nothing(app, frames):
    touches, conversions, _ = frames
    last = pd.merge_asof(
        conversions, touches.dropna(subset=["visitor", "channel"]).sort_values("touched_at"), by="visitor",
        left_on="converted_at", right_on="touched_at", tolerance=pd.Timedelta(hours=1),
    )  # fmt: skip
    assert (last["channel"] == "brand search").mean() > 0.2
    assert app.truth.set_index("channel").loc["brand search", "conversions"] == 0


def test_records_have_their_faults(frames):
    touches, _, _ = frames
    assert touches["visitor"].isna().mean() == pytest.approx(0.0015, abs=0.0008)
    assert touches["channel"].isna().mean() == pytest.approx(0.0015, abs=0.0008)
