"""Share conversions out by Shapley values:  python -m benchmarks.tasks.shapley_paths FOLDER."""

import json
import sys
from pathlib import Path

from benchmarks.tasks.journey_paths import read_paths
from cvmlib.attribution.coalitions import count_coalitions, fit_coalitions, require_identified
from cvmlib.attribution.shapley import divide_shapley

paths = read_paths(Path(sys.argv[1]))
coalitions = count_coalitions(paths)
require_identified(coalitions)
credit = coalitions.conversions @ divide_shapley(coalitions, fit_coalitions(coalitions))
total = float(paths.conversions.sum())
print(
    json.dumps(
        {
            "channels": len(credit),
            "coalitions": len(coalitions.member),
            "gap": abs(float(credit.sum()) - total) / total,
            "least": float(credit.min()),
        }
    )
)
