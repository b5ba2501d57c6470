"""Write markov.json: removal effects and shares of published packages on made-up journeys.

    .venv-peers/bin/python tests/attribution/references/make_markov.py

needs do-attribution and mta-audit (benchmarks/requirements-peers.in).
"""

import json
import random
import warnings
from importlib.metadata import version
from pathlib import Path

from do_attribution.markov import MarkovAttribution
from mta_audit.attribution.markov import _conversion_probability_matrix, _remove_channel_matrix, _transition_tables

CHANNELS = ("search", "paid search", "email", "social", "display")
STRATEGIES = {"to_null": "redirect_to_null", "fail": "fail", "fail_refit": "fail_refit", "detour": "detour"}


def make_journeys(number=400, seed=7):
    """Journeys of one to seven touches, whose outcome depends on the last two of them."""
    rng = random.Random(seed)
    made = []
    for _ in range(number):
        path = [rng.choices(CHANNELS, (5, 3, 2, 2, 1))[0]]
        while rng.random() < 0.62 and len(path) < 7:
            path.append(rng.choices(CHANNELS, (3, 2, 2, 2, 1))[0])
        chance = 0.12 + 0.25 * ("email" in path[-2:]) + 0.2 * (path[-1] == "search") + 0.1 * ("social" in path)
        made.append((" > ".join(path), int(rng.random() < chance)))
    return made


def do_attribution(journeys):
    paths, converted = zip(*journeys, strict=True)
    found = {}
    for rule, strategy in STRATEGIES.items():
        for order in (1, 2, 3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = MarkovAttribution(order=order, removal_strategy=strategy).fit(list(paths), list(converted))
            found[f"{rule} {order}"] = {"effect": result["removal_effects"], "share": result["attribution"]}
    return found


def mta_audit(journeys):
    paths = [("START", *path.split(" > "), "CONVERSION" if yes else "NULL") for path, yes in journeys]
    _, table = _transition_tables(paths)
    names, matrix = list(table.index), table.to_numpy(float)
    base = _conversion_probability_matrix(matrix, names)
    effects = {}
    for channel in CHANNELS:
        left = _conversion_probability_matrix(*_remove_channel_matrix(matrix, names, channel, strategy="reconnect"))
        effects[channel] = 1 - left / base
    return {"reconnect 1": {"effect": effects}}


journeys = make_journeys()
content = {
    "made_by": [f"{name} {version(name)}" for name in ("do-attribution", "mta-audit")],
    "journeys": journeys,
    "results": do_attribution(journeys) | mta_audit(journeys),
}
Path(__file__).with_name("markov.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
