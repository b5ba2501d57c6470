"""The lifecycle map and the page that reconciles: counts by hand, verdicts and reasons."""

import pandas as pd
import pytest

from cvmlib.attribution.lifecycle import count_moves, count_stages, rate_movers
from cvmlib.attribution.reconcile import find_disagreements, reconcile
from cvmlib.attribution.validation import score_methods, summarise_errors
from tests.attribution.conftest import build_paths


@pytest.fixture
def journeys():
    paths = build_paths({"tv > search > email": (2, 3), "search > tv": (1, 4), "mystery > tv": (0, 5)})
    stages = {"tv": "discover", "search": "explore", "email": "engage", "mystery": "not placed"}
    kinds = pd.DataFrame({"name": paths.channels, "stage": [stages[c] for c in paths.channels], "purpose": "educate"})
    return paths, kinds


def test_moves_by_hand(journeys):
    moves = count_moves(*journeys).set_index("channel")
    expected = {
        "tv": dict(bought=1, forward=5, same=0, back=0, stalled=9),
        "search": dict(bought=0, forward=5, same=0, back=5, stalled=0),
        "email": dict(bought=2, forward=0, same=0, back=0, stalled=3),
    }
    assert set(moves.index) == set(expected)
    for channel, counts in expected.items():
        assert moves.loc[channel, list(counts)].to_dict() == counts
    rates = rate_movers(moves.reset_index()).set_index("channel")
    assert rates.loc["tv", "moved"] == pytest.approx(6 / 15) and rates.loc["tv", "stalled"] == pytest.approx(9 / 15)
    assert (rates["low"] < rates["moved"]).all() and (rates["moved"] < rates["high"]).all()


def test_stages_by_hand(journeys):
    stages = count_stages(*journeys).set_index("stage")
    assert stages["reached"].tolist() == [15, 10, 5, 0]
    assert stages["ended"].tolist() == [9, 0, 3, 0] and stages["share_ended"].sum() == pytest.approx(1)


def shares(**by_channel):
    rows = [(name, s, s - 0.01, s + 0.01) for name, s in by_channel.items()]
    return pd.DataFrame(rows, columns=["channel", "share", "low", "high"])


def test_methods_stand_side_by_side_with_their_reasons():
    tables = {
        "first": shares(brand=0.1, video=0.6, search=0.3, radio=0.0),
        "last": shares(brand=0.6, video=0.1, search=0.3, radio=0.0),
        "experiment": shares(brand=0.02, video=0.7),
        "media": shares(radio=0.2),
    }
    frame = reconcile(tables)
    assert list(dict.fromkeys(frame["method"])) and set(frame["channel"]) == {"brand", "video", "search", "radio"}
    found = find_disagreements(frame, ["first", "last"], ["experiment", "media"]).set_index("channel")
    assert found["verdict"].to_dict() == {
        "brand": "over-credited", "video": "under-credited", "search": "not tested", "radio": "under-credited"
    }  # fmt: skip
    assert "met late" in found.loc["brand", "reason"] and "acts early" in found.loc["video", "reason"]
    assert found.loc["search", "reason"] == "The methods agree." and found.loc["radio", "cause"] == "media"


def test_a_table_that_is_none_is_refused():
    with pytest.raises(ValueError, match="The table of first has no column low"):
        reconcile({"first": shares(a=1.0).drop(columns="low")})
    with pytest.raises(ValueError, match="names a twice"):
        reconcile({"first": pd.concat([shares(a=1.0), shares(a=1.0)])})


def test_errors_against_a_truth():
    methods = pd.DataFrame(
        {"method": ["m", "m", "m"], "channel": ["a", "b", "direct"], "conversions": [10.0, 20.0, 99.0],
         "low": [5.0, 21.0, 0.0], "high": [15.0, 30.0, 1.0]}
    )  # fmt: skip
    scored = score_methods(methods, {"a": 12.0, "b": 10.0, "direct": 0.0}, ("direct",))
    assert scored["bias"].tolist() == [-2, 10] and scored["inside"].tolist() == [1, 0]
    errors = summarise_errors(scored).iloc[0]
    assert errors["error"] == 6 and errors["bias"] == 4 and errors["relative"] == pytest.approx(12 / 22)
