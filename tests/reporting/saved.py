"""What the models would have saved of a unit: totals, customers, tracking and the holdout by frequency."""

import numpy as np
import pandas as pd

from cvmlib.clv.results import UnitValue

REGULAR = "Customers buy by a rhythm, far more regularly than the model assumes. Measured is a shape of 4.20."
CHECKS = [
    {"name": "convergence of the purchase model", "outcome": "pass", "sentence": "It could be computed (R-hat 1.001)."},
    {"name": "timing of purchases", "outcome": "pass", "sentence": "Purchases are timed nearly at random."},
    {"name": "repeat buyers", "outcome": "pass", "sentence": "163 customers bought again."},
]
VERDICTS = {
    "sound": ("The forecast passed its checks.", []),
    "caution": ("The forecast is usable with caution.", ["Only 31 customers bought again."]),
    "withheld": ("The forecast is withheld: a check failed.", [REGULAR]),
}


def make_customers(number: int = 240, seed: int = 1, shift: float = 0.0) -> pd.DataFrame:
    """Return customers as ``value.parquet`` holds them; `shift` is taken from every value (money)."""
    rng = np.random.default_rng(seed)
    frequency = rng.geometric(0.4, number) - 1.0
    value = np.round(np.exp(rng.normal(3.1, 1.0, number)), 2) - shift
    bought = rng.gamma(2.0, 1.0, number)
    days = pd.to_timedelta(rng.integers(0, 700, number), unit="D")
    return pd.DataFrame(
        {
            "customer_id": [f"C{i:04d}" for i in range(number)],
            "first": pd.Timestamp("2023-02-01") + days / 2,
            "last": (pd.Timestamp("2026-06-30") - days).date,
            "total_value": np.round(60 * (frequency + 1) * rng.gamma(4, 0.25, number), 2),
            "frequency": frequency,
            "p_alive": np.clip(1.0 - days.days / 800, 0, 1) ** (1 + frequency / 2),
            "expected_purchases": bought,
            "purchases_low": np.floor(bought * 0.3).astype(int),
            "purchases_high": np.ceil(bought * 2.5).astype(int),
            "expected_spend": np.round(value / 0.45 / np.maximum(bought, 0.2), 2),
            "value": value,
            "value_low": value - np.abs(value) * 0.8,
            "value_high": value + np.abs(value) * 1.4,
        }
    )


def make_totals(level: str = "sound", customers: pd.DataFrame | None = None, **changes: object) -> dict:
    """Return ``totals.json`` of a non-contractual unit."""
    customers = make_customers() if customers is None else customers
    headline, reasons = VERDICTS[level]
    value, bought = float(customers["value"].sum()), float(customers["expected_purchases"].sum())
    checks = [dict(check) for check in CHECKS]
    if level == "withheld":
        checks[1] |= {"outcome": "fail", "sentence": REGULAR}
    usual = {
        "unit": "shop",
        "label": "Corner shop",
        "setting": "noncontractual",
        "verdict": {"level": level, "headline": headline, "reasons": list(reasons)},
        "checks": checks,
        "customers": len(customers),
        "alive": float(customers["p_alive"].sum()),
        "value": {"mean": value, "low": value - 0.11 * abs(value), "high": value + 0.13 * abs(value)},
        "purchases": {"mean": bought, "low": bought * 0.93, "high": bought * 1.08},
        "holdout": {
            "customers": 187, "actual": 412.0, "mean": 431.3, "low": 389.0, "high": 474.0, "mae": 1.1, "rmse": 1.9,
            "correlation": 0.61, "coverage": 0.914, "interval": 0.9, "bias": 431.3 / 412.0 - 1,
        },
        "calibration_end": "2025-06-30",
        "horizon_months": 12,
        "currency": "EUR",
        "margin": 0.45,
        "per_transaction": 0.5,
        "buyers": [0.4 * len(customers), 0.3 * len(customers), 0.2 * len(customers), 0.1 * len(customers)],
        "alive_later": 0.8 * float(customers["p_alive"].sum()),
        "residual": 1234.5,
        "newcomers": [
            {"covariate": "", "level": "", "value": 41.2, "first": 20.1, "purchases": 1.3, "expected_low": 38.4,
             "expected_high": 44.9, "low": 6.3, "high": 131.0},
        ],
        "model": {"family": "bg_nbd", "title": "BG/NBD", "stages": 1, "reason": "BG/NBD predicts best.",
                  "opportunity": None},
        "returned_share": 0.083,
        "pace": {"mean": 1.004, "low": 0.93, "high": 1.09},
        "discount_rate": 0.1,
        "interval": 0.9,
        "end_of_observation": "2026-06-30",
    }  # fmt: skip
    return usual | changes


def make_unit(level: str = "sound", number: int = 240, shift: float = 0.0, **changes: object) -> UnitValue:
    """Return the saved value of a unit with a holdout."""
    customers = make_customers(number, shift=shift)
    days = pd.date_range("2024-07-01", "2026-06-30", freq="7D")
    course = np.linspace(0, 900, len(days))
    tracking = pd.DataFrame(
        {"date": days, "actual": course.round(), "expected": course * 1.03, "low": course * 0.97, "high": course * 1.1}
    )
    classes = pd.DataFrame(
        {"frequency": ["0", "1", "2", "3"], "customers": [90, 50, 30, 17], "actual": [0.7, 1.9, 2.8, 4.4],
         "expected": [0.8, 1.8, 3.1, 4.2]}
    )  # fmt: skip
    return UnitValue(make_totals(level, customers, **changes), customers, tracking, classes, make_calendar())


def make_calendar() -> pd.DataFrame:
    """Return a year of weeks and the year ahead, with a strong week before Christmas and a weak one in August."""
    days = pd.date_range("2025-07-02", periods=104, freq="7D")
    mean = 1.0 + 0.4 * (days.month == 12) - 0.3 * (days.month == 8) + 0.001 * np.arange(104)
    future = np.arange(104) >= 52
    width = np.where(future, 0.2, 0.08)
    counts = {"actual": np.where(future, 0.0, 40.0), "expected": np.where(future, 0.0, 41.0)}
    intensity = {"mean": mean, "low": mean - width, "high": mean + width}
    return pd.DataFrame({"date": days, **counts, **intensity, "future": future})
