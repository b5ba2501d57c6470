"""Check, count and fit the subscribers of FOLDER: life tables in the engine, one hierarchical BdW over the units."""

import json
import os
import sys
from pathlib import Path

from cvmlib.churn import retention_model
from cvmlib.churn.prepare import lay_out_units, load_unit, prepare_unit
from cvmlib.inference import Sampling
from cvmlib.portfolio import read_portfolio


def main(folder: Path) -> None:
    """Print the subscriptions, the size of the life table, CPU seconds of both parts, and the diagnostics."""
    portfolio = read_portfolio(folder / "portfolio.toml")
    units = {}
    for name in portfolio.units:
        prepare_unit(portfolio, name)
        units[name] = load_unit(portfolio, name)
    data = lay_out_units(units)
    counted = sum(os.times()[:4])
    fit = retention_model.fit(data, "bdw", Sampling(draws=700, tune=500, chains=4, seed=1))
    print(
        json.dumps(
            {
                "subscriptions": int(data.rows["subscriptions"].sum()),
                "cells": data.at_risk.size,
                "counting": counted,
                "fitting": sum(os.times()[:4]) - counted,
                "passed": fit.passed,
                "gate": fit.gate.sentence(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
