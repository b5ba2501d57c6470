"""Simulated units whose purchase and spend parameters are known, as count tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.clv import gamma_gamma
from cvmlib.clv.families import bg_nbd


@dataclass(frozen=True)
class World:
    """True parameters of a unit: mean rate a day, shape, mean dropout and concentration; mean spend, p and q."""

    rate: float = 0.012
    shape: float = 0.9
    dropout: float = 0.2
    concentration: float = 4.0
    mean_spend: float = 40.0
    p: float = 5.0
    q: float = 4.0

    def buying(self) -> dict[str, float]:
        """Parameters of the BG/NBD."""
        a, b = self.dropout * self.concentration, (1 - self.dropout) * self.concentration
        return {"r": self.shape, "alpha": self.shape / self.rate, "a": a, "b": b}

    def spending(self) -> dict[str, float]:
        """Parameters of the Gamma-Gamma."""
        return {"p": self.p, "q": self.q, "gamma": self.mean_spend * (self.q - 1) / self.p}


def count_unit(name: str, world: World, customers: int, seed: int, age: int = 900) -> pd.DataFrame:
    """Count rows of simulated customers of up to `age` days: whole days, spend to the cent."""
    rng = np.random.default_rng(seed)
    T = rng.integers(1, age, customers).astype(float)
    frequency, recency = bg_nbd.simulate_customers(T, **world.buying(), rng=rng)
    spend = gamma_gamma.simulate_customers(frequency, **world.spending(), rng=rng)
    frame = pd.DataFrame(
        {
            "unit": name,
            "frequency": frequency,
            "recency": np.minimum(np.ceil(recency), T),
            "T": T,
            "monetary_value": spend.round(2),
        }
    )
    return frame.groupby(list(frame), as_index=False).size().rename(columns={"size": "customers"})


def purchase_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without spend: alike customers grouped."""
    keys = ["unit", "frequency", "recency", "T"]
    return rows.groupby(keys, as_index=False)["customers"].sum()
