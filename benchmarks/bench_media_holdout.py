"""Error of the forecast of held-out weeks on pymc-marketing's own example, beside pymc-marketing's."""

import os
from pathlib import Path

from benchmarks.measure import PEERS, ROOT, measure_module
from benchmarks.results import Figure

NAME = "media-holdout"
WEEKS = 26
FILE = "mmm/pymcm_mmm_example.csv.gz"
BAR = 0.10  # mean absolute error as a share, where the peer is not installed


def run(work: Path) -> list[Figure]:
    """Forecast the same weeks with both; nothing without the public data."""
    file = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")).resolve() / FILE
    if not file.is_file():
        return []
    ours = measure_module("benchmarks.tasks.media_holdout", file, str(WEEKS)).last_json()
    if not PEERS.exists():
        return [Figure(NAME, ours["mape"], "mean absolute error, share", BAR)]
    arguments = (file, str(WEEKS))
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_media", *arguments, python=PEERS).last_json()
    return [Figure(NAME, ours["mape"], "mean absolute error, share", peer["mape"], peer["mape"], peer["name"])]
