"""Play worlds of known effects by every policy; prints one line of JSON per world, and all.

``python -m benchmarks.tasks.actions_worlds FIRST LAST``
"""

import json
import sys

from cvmlib.decisions.worlds import compare_policies


def run(first: int, last: int) -> list[dict[str, float]]:
    """Per world: total value of each policy over 12 rounds, and the share of rounds whose promise held."""
    rows = []
    for seed in range(first, last + 1):
        rows.append({"seed": seed} | compare_policies(seed))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
