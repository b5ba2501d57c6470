"""Journeys that tests share."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.paths import parse_paths
from cvmlib.attribution.simulate import channel_names, count_journeys, draw_transitions, simulate_journeys

REFERENCES = Path(__file__).parent / "references"


def build_paths(journeys):
    """Paths from a mapping of "a > b" to (conversions, nulls) or (conversions, nulls, value)."""
    rows = [(path, *counts, *(0.0,) * (3 - len(counts))) for path, counts in journeys.items()]
    return parse_paths(pd.DataFrame(rows, columns=["path", "conversions", "nulls", "value"]))[0]


@pytest.fixture(scope="session")
def published():
    """Journeys and what published packages make of them."""
    content = json.loads((REFERENCES / "markov.json").read_text(encoding="utf-8"))
    rows = pd.DataFrame(content["journeys"], columns=["path", "yes"])
    table = rows.groupby("path", as_index=False)["yes"].agg(conversions="sum", journeys="size")
    table["nulls"], table["value"] = table["journeys"] - table["conversions"], 10.0 * table["conversions"]
    return parse_paths(table)[0], content["results"]


@pytest.fixture(scope="session")
def simulated():
    """Journeys of a chain of order 2 over six channels, with its transitions."""
    rng = np.random.default_rng(3)
    transitions = draw_transitions(6, rng, convert=0.2)
    return count_journeys(*simulate_journeys(20_000, transitions, rng), channel_names(6)), transitions
