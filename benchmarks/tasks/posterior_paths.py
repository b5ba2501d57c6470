"""Draw the posterior of Markov shares:  python -m benchmarks.tasks.posterior_paths FOLDER ORDER DRAWS POSTERIOR."""

import json
import sys
from pathlib import Path

from benchmarks.tasks.journey_paths import read_paths
from cvmlib.attribution.chain import build_chain
from cvmlib.attribution.markov import attribute_markov
from cvmlib.attribution.posterior import draw_markov, summarise_shares

paths = read_paths(Path(sys.argv[1]))
order, draws, posterior = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chain, walk = build_chain(paths, order)
point = attribute_markov(paths, order, fitted=chain).conversions / paths.conversions.sum()
drawn = draw_markov(paths, chain, walk, draws, posterior=posterior)
found = summarise_shares(paths.channels, point, drawn[:, 0])
inside = ((found["low"] <= found["share"]) & (found["share"] <= found["high"])).mean()
print(json.dumps({"draws": len(drawn), "inside": float(inside), "widest": float((found["high"] - found["low"]).max())}))
