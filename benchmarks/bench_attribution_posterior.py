"""A thousand posterior draws of Markov shares from a million journeys, in a fresh process each."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "attribution-posterior"
JOURNEYS, CHANNELS, DRAWS = 1_000_000, 12, 1000
BARS = {("1", "dirichlet"): 5.0, ("2", "dirichlet"): 60.0, ("1", "bootstrap"): 60.0, ("2", "bootstrap"): 60.0}


def run(work: Path) -> list[Figure]:
    """Measure reading, counting and drawing, for Dirichlet rows and for the Bayesian bootstrap of journeys."""
    folder = work / "paths-12"
    if not (folder / "paths.parquet").is_file():
        measure_module("benchmarks.tasks.write_paths", folder, str(JOURNEYS), str(CHANNELS))
    figures = []
    for (order, posterior), bar in BARS.items():
        used = measure_module("benchmarks.tasks.posterior_paths", folder, order, str(DRAWS), posterior)
        if used.last_json()["draws"] != DRAWS or used.last_json()["inside"] < 0.9:
            raise RuntimeError(f"the point estimate left its intervals: {used.last_json()}")
        figures.append(Figure(NAME, used.cpu, f"CPU s, order {order}, {posterior}", bar))
    return figures
