"""From the transactions in FOLDER to the value of every customer with its interval; prints what each stage took.

``python -m benchmarks.tasks.value_units FOLDER``, after ``write_units``. As `notebooks/models/clv.ipynb` does it,
without a holdout: check and count, fit, predict, join back. Nothing is compiled beforehand.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cvmlib.clv import judgement, saving, study
from cvmlib.clv.prepare import prepare_unit
from cvmlib.portfolio import read_portfolio

ENDS = ["value_low", "value", "value_high"]


def main(folder: Path) -> None:
    """Run the stages one after the other and print CPU seconds, as they end and in one line of JSON."""
    cpu: dict[str, float] = {}

    def measure(stage: str, work: Callable[[], Any]) -> Any:
        start = sum(os.times()[:4])
        result = work()
        cpu[stage] = sum(os.times()[:4]) - start
        print(f"{stage}: {cpu[stage]:.1f} CPU s", file=sys.stderr, flush=True)
        return result

    portfolio = read_portfolio(folder / "portfolio.toml")
    measure("count", lambda: [prepare_unit(portfolio, name) for name in portfolio.units])
    bases = study.read_bases(portfolio)
    models = measure("fit", lambda: study.fit_models(portfolio, bases))
    found = measure("predict", lambda: {name: study.predict_unit(portfolio, bases[name], models) for name in bases})
    verdicts = {name: judgement.judge_unit(bases[name], models, None, found[name]) for name in bases}
    nothing = dict.fromkeys(bases)
    measure("join", lambda: saving.save_units(portfolio, bases, models, found, verdicts, nothing))
    tables = [pd.read_parquet(base.folder / "value.parquet", columns=["customer_id", *ENDS]) for base in bases.values()]
    customers = pd.concat(tables, ignore_index=True)
    facts = {
        "customers": customers["customer_id"].nunique(),
        "complete": bool(customers[ENDS].notna().all(axis=None)),
        "passed": models.passed,
    }
    print(json.dumps(facts | {"cpu": cpu}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
