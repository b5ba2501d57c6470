"""IBM Telco, cross-validated: the retention model against logistic regression (statsmodels) on the same columns.

Differences of AUC and Brier score are paired; what is compared with the bar is the end of their interval on the better
side, so that a figure above zero is worse beyond doubt.
"""

import os
from pathlib import Path

from benchmarks.measure import ROOT, measure_module
from benchmarks.results import Figure

NAME = "telco-holdout"
DATA = "churn/ibm_telco_churn.csv.gz"
POINTS = 0.02  # of calibration error, at most


def run(work: Path) -> list[Figure]:
    """Cross-validate in five folds; no figures where the data are not there (CVM_DATA)."""
    source = Path(os.environ.get("CVM_DATA", ROOT.parent / "shared" / "data"))
    if not (source / DATA).is_file():
        return []
    config = work / "telco" / "telco.toml"
    config.parent.mkdir(parents=True)
    text = (ROOT / "examples" / "telco.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("${CVM_DATA:-../../shared/data}", str(source)), encoding="utf-8")
    rows = {row["reading"]: row for row in measure_module("benchmarks.tasks.telco", config).last_json()}
    figures = []
    for reading, horizon, words in (
        ("flag", 1, "marked as left, given tenure"),
        ("durations", 6, "within 6 months of joining"),
        ("durations", 12, "within 12 months of joining"),
    ):
        found = rows[reading]
        difference, peer = found["difference"], found["logistic"]
        _, _, high = difference[f"auc_{horizon}"]
        figures.append(Figure(NAME, -high, f"AUC lost at least, {words}", 0.0))
        _, low, _ = difference[f"brier_{horizon}"]
        figures.append(Figure(NAME, low, f"Brier score added at least, {words}", 0.0))
        error, other = found["model"][f"calibration_{horizon}"], peer[f"calibration_{horizon}"]
        figures.append(Figure(NAME, error, f"calibration error, {words}", POINTS, other, "statsmodels logistic"))
    return figures
