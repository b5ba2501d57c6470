"""Share conversions out by every removal rule:  python -m benchmarks.tasks.markov_paths FOLDER ORDER."""

import json
import sys
from pathlib import Path

from benchmarks.tasks.journey_paths import read_paths
from cvmlib.attribution.chain import build_chain
from cvmlib.attribution.markov import RULES, attribute_markov

paths, order = read_paths(Path(sys.argv[1])), int(sys.argv[2])
chain, _ = build_chain(paths, order)
found = {rule: attribute_markov(paths, order, rule, chain) for rule in RULES}
shares = found["to_null"].conversions / paths.conversions.sum()
print(
    json.dumps(
        {
            "paths": len(paths),
            "journeys": float(paths.conversions.sum() + paths.nulls.sum()),
            "states": chain.states,
            "gap": abs(float(shares.sum()) - 1.0),
            "shares": dict(zip(paths.channels, shares.tolist(), strict=True)),
        }
    )
)
