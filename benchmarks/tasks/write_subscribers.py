"""Write subscribers of four units to FOLDER, NAME.parquet each, and a portfolio file that maps them.

Five years of joiners with beta-discrete-Weibull churn, and three covariates with twelve levels in all.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cvmlib.churn.simulate_retention import RetentionTruth, simulate_lifetimes

SHARES = {"mobile": 0.5, "broadband": 0.3, "television": 0.15, "energy": 0.05}
MONTHS = 60
FIRST = np.datetime64("2021-07")
LAST_DAY = np.datetime64("2026-06-30")
EFFECTS = {
    "tariff": {"basic": 0.2, "plus": 0.0, "premium": -0.35},
    "channel": {"store": 0.0, "search": 0.05, "social": 0.15, "referral": -0.25, "email": 0.0},
    "age_group": {"18-29": 0.25, "30-44": 0.0, "45-59": -0.15, "60+": -0.35},
}
HEAD = """\
[portfolio]
name = "Benchmark"
source = "."
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1
seed = 1
"""
UNIT = """\
[units.{name}]
setting = "contractual"
margin = 0.4
retention = {{ covariates = ["tariff", "channel", "age_group"] }}
[units.{name}.tables.subscriptions]
path = "{name}.parquet"
columns = {{ tariff = "tariff", channel = "channel", age_group = "age_group" }}
"""


def write(folder: Path, subscribers: int) -> None:
    """Write about `subscribers` rows in all, and the portfolio file."""
    rng = np.random.default_rng(1)
    for name, share in SHARES.items():
        truth = RetentionTruth(b=48.0 * np.exp(0.2 * rng.standard_normal()), effects=EFFECTS)
        size = round(subscribers * share)
        people = simulate_lifetimes(size, truth, MONTHS, rng)
        start = (FIRST + people["joined"].to_numpy()).astype("datetime64[D]") + rng.integers(0, 28, size)
        month = (FIRST + (people["joined"] + people["stay"]).to_numpy()).astype("datetime64[D]")
        end = month + (start - start.astype("datetime64[M]").astype("datetime64[D]"))
        table = {
            "customer_id": np.char.add(name[0].upper(), np.arange(size).astype("U")),
            "start": start,
            "end": pa.array(end, mask=end > LAST_DAY),
            "price": people["tariff"].map({"basic": 10.0, "plus": 20.0, "premium": 40.0}).to_numpy(),
        }
        table |= {covariate: pa.array(people[covariate]) for covariate in EFFECTS}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    text = HEAD + "".join(UNIT.format(name=name) for name in SHARES)
    (folder / "portfolio.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
