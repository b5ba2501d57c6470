"""Twenty demo companies against their truth: historic value, potential, influence, types and tiers, and the sums."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "value-parts"
SEEDS = 20
MISSES = 4  # seeds of 20 with a true value outside its interval, at most, for each unit
RIGHT = 0.85  # share of the company's sure assignments that are right, at least
CENT = 0.005
ADD_ON = 0.1


def run(work: Path) -> list[Figure]:
    """Measure errors of what is counted, misses of what is estimated, and wrong assignments."""
    rows = measure_module("benchmarks.tasks.value_parts", work, "1", str(SEEDS)).last_json()
    figures = [
        Figure(NAME, max(row["historic_error"] for row in rows), "largest error of a historic value (EUR)", CENT),
        Figure(NAME, max(row["sum_error"] for row in rows), "largest difference of customers and parts (EUR)", CENT),
    ]
    shared = max(row["kinds_error"] for row in rows)
    figures.append(Figure(NAME, shared, "largest difference of kinds of headroom and potential (EUR)", CENT))
    said = max(row["add_on"] for row in rows)  # the company's customers fill their baskets alike
    figures.append(Figure(NAME, said, "largest share of headroom said to be add-on; in truth 0", ADD_ON))
    for unit in dict.fromkeys(row["unit"] for row in rows):
        mine = [row for row in rows if row["unit"] == unit]
        for part in ("potential", "influence"):
            misses = sum(not row[f"{part}_inside"] for row in mine)
            figures.append(Figure(NAME, misses, f"seeds of {SEEDS} with the true {part} outside, {unit}", MISSES))
    for kind in ("types", "tiers"):
        judged = [row[kind] for row in rows]
        wrong = 1 - sum(one["right"] for one in judged) / max(sum(one["sure"] for one in judged), 1)
        figures.append(Figure(NAME, wrong, f"share of sure {kind} that are wrong", 1 - RIGHT))
    return figures
