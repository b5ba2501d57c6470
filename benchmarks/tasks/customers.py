"""Simulated customers of several units, like CDNOW's: what the tasks fit, and its log of transactions."""

import numpy as np
import pandas as pd

from cvmlib.clv.families import bg_nbd

#: r, alpha (days), a, b, and p, q, gamma of the CDNOW sample (Fader, Hardie and Lee 2005; Fader and Hardie 2013).
BUYING = (0.243, 30.9, 0.793, 2.426)
SPENDING = (6.25, 3.74, 15.44)
KEYS = ["unit", "frequency", "recency", "T"]

#: Customer bases: the share of each unit, and the ages in days, from and below. That of CDNOW is one unit.
BASES = {
    "cdnow": ({"shop": 1.0}, (190, 274)),
    "six-units": ({"a": 1 / 2, "b": 1 / 4, "c": 1 / 8, "d": 1 / 12, "e": 1 / 30, "f": 1 / 120}, (180, 274)),
    "two-years": ({"a": 1 / 2, "b": 3 / 10, "c": 3 / 20, "d": 1 / 20}, (1, 731)),
}


def simulate_units(customers: int, base: str, seed: int = 1) -> pd.DataFrame:
    """Draw the counts of customers; units differ by 0.2 (sd) in the logarithm of each parameter, one alone does not.

    Parameters
    ----------
    customers : int
        Of all units together.
    base : str
        One of `BASES`.
    seed : int
        Seed.

    Returns
    -------
    DataFrame
        ``unit``, ``frequency``, ``recency`` and ``T`` in whole days; a row a customer.
    """
    rng, (shares, ages) = np.random.default_rng(seed), BASES[base]
    spread = 0.2 if len(shares) > 1 else 0.0
    frames = []
    for unit, share in shares.items():
        r, alpha, a, b = np.array(BUYING) * np.exp(rng.normal(0.0, spread, 4))
        age = rng.integers(*ages, round(customers * share)).astype(float)
        frequency, recency = bg_nbd.simulate_customers(age, r, alpha, a, b, rng)
        frames.append(pd.DataFrame({"unit": unit, "frequency": frequency, "recency": np.ceil(recency), "T": age}))
    return pd.concat(frames, ignore_index=True)


def group(customers: pd.DataFrame) -> pd.DataFrame:
    """Group customers who are alike into weighted count rows."""
    keys = list(customers.columns)
    return customers.groupby(keys, as_index=False).size().rename(columns={"size": "customers"})


def simulate_log(customers: pd.DataFrame, end: np.datetime64, seed: int = 2) -> pd.DataFrame:
    """Draw a log of transactions in which these customers did what their counts say; sorted by date.

    Given the first and the last, purchases at a constant rate are spread evenly between them. Two on one day are one
    purchase, so that the counts of the log are a little below those given.

    Parameters
    ----------
    customers : DataFrame
        Result of `simulate_units`.
    end : numpy datetime64
        Last day of the observation.
    seed : int
        Seed.

    Returns
    -------
    DataFrame
        ``unit``, ``customer`` (number), ``day`` (datetime64), ``value`` (money).
    """
    rng = np.random.default_rng(seed)
    frequency, recency, age = (customers[name].to_numpy() for name in KEYS[1:])
    buyer = np.repeat(np.arange(len(customers)), frequency + 1)
    number = np.arange(len(buyer)) - np.repeat(np.cumsum(frequency + 1) - frequency - 1, frequency + 1)
    part = np.where(number == 0, 0.0, np.where(number == frequency[buyer], 1.0, rng.random(len(buyer))))
    days = np.floor(age[buyer] - part * recency[buyer]).astype(int)
    order = np.argsort(-days, kind="stable")
    buyer, days = buyer[order], days[order]
    p, q, gamma = SPENDING
    rate = rng.gamma(q, 1.0 / gamma, len(customers))
    value = np.round(rng.gamma(p, 1.0 / rate[buyer]), 2) + 0.01
    day = np.datetime64(end, "D") - days
    return pd.DataFrame({"unit": customers["unit"].to_numpy()[buyer], "customer": buyer, "day": day, "value": value})
