"""Forecast the holdouts of FOLDER/EXAMPLE-*.csv with lifetimes' BG/NBD; runs in .venv-peers."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from lifetimes import BetaGeoFitter
from lifetimes.utils import ConvergenceError

DAYS = 7.0  # its estimates depend on the unit of time; weeks are those of its documentation


def fit(counts: tuple[pd.Series, ...]) -> BetaGeoFitter:
    """Fit by maximum likelihood; where that does not converge, with the least of the usual penalties that does."""
    for penalty in (0.0, 0.001, 0.01, 0.1):
        try:
            return BetaGeoFitter(penalizer_coef=penalty).fit(*counts)
        except ConvergenceError:
            continue
    raise RuntimeError("lifetimes did not converge")


def main(folder: Path, example: str) -> None:
    """Fit every split and score its point forecasts."""
    rows = []
    for path in sorted(folder.glob(f"{example}-*.csv")):
        table = pd.read_csv(path)
        counts = table["frequency"], table["recency"] / DAYS, table["T"] / DAYS
        model = fit(counts)
        for column in (name for name in table if name.startswith("holdout_")):
            months = int(column.removeprefix("holdout_"))
            horizon = table[f"days_{months}"].iloc[0] / DAYS
            forecast = model.conditional_expected_number_of_purchases_up_to_time(horizon, *counts)
            error = table[column] - forecast
            rows.append(
                {
                    "split": path.stem.removeprefix(f"{example}-"),
                    "months": months,
                    "bias": float(forecast.sum() / table[column].sum() - 1),
                    "mae": float(error.abs().mean()),
                    "rmse": float((error**2).mean() ** 0.5),
                }
            )
    print(json.dumps({"name": f"lifetimes {version('lifetimes')}, BG/NBD", "rows": rows}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
