"""The comparison of purchase models: which one a unit has, why, and how the others fared."""

from collections.abc import Mapping

import pandas as pd

from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.results import UnitValue
from cvmlib.clv.study import Models
from cvmlib.reporting import show

_NAMES = {
    "unit": "Unit",
    "model": "Model",
    "chosen": "Chosen",
    "difference": "Log predictive density, less the best",
    "difference_se": "Its standard error",
    "effective": "Effective parameters",
    "bad_k": "Uncertain customers",
    "bias": "Bias",
    "mae": "MAE",
    "rmse": "RMSE",
    "correlation": "Correlation",
    "log_score": "Log score",
    "crps": "CRPS",
    "pit_distance": "PIT distance",
}
_FORMATS = dict.fromkeys([_NAMES[k] for k in ("difference", "difference_se", "effective")], "number:1")
_FORMATS |= dict.fromkeys([_NAMES[k] for k in ("bad_k", "bias")], "percent:1")
_FORMATS |= dict.fromkeys(
    [_NAMES[k] for k in ("mae", "rmse", "correlation", "log_score", "crps", "pit_distance")], "number:3"
)
_NOTE = (
    "Log predictive density of customers left out (PSIS-LOO), in natural logarithms, summed over the customers; "
    "uncertain are those for whom it rests on few draws. The other figures compare each model's forecast of the "
    "holdout with what happened: MAE of the median and RMSE of the mean forecast, in purchases per customer, log score "
    "(higher is better), CRPS (lower is better), and the largest distance of the cumulative PIT from a uniform one (0 "
    "is perfect)."
)


def show_choices(bases: Mapping[str, UnitBase], models: Models) -> None:
    """Show which purchase model each unit has, why, and how the others fared."""
    choice = models.choice
    show.prose(
        "\n".join(
            f"- **{show.text(bases[unit].unit.label)}: {choice.title(unit)}.** "
            f"{choice.reasons.get(unit) or 'It is the only one that the portfolio file allows.'}"
            for unit in choice.families
        )
    )
    if not choice.table.empty:
        _show_table(tabulate_choice(choice.table, {unit: base.unit.label for unit, base in bases.items()}))


def show_choice(unit: UnitValue) -> None:
    """Show why one unit has its purchase model, and how the others fared there."""
    model = unit.totals["model"]
    if not model["reason"]:
        return
    show.prose(f"**Why {model['title']}?** {model['reason']}")
    if unit.models is not None:
        _show_table(tabulate_choice(unit.models, {unit.totals["unit"]: unit.totals["label"]}).drop(columns="Unit"))


def tabulate_choice(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Tabulate the models that were compared, for people; `labels` are those of the units."""
    kept = [name for name in _NAMES if name in table]
    shown = table[kept].assign(unit=table["unit"].map(labels), chosen=table["chosen"].map({True: "yes", False: ""}))
    return shown.rename(columns=_NAMES)


def _show_table(table: pd.DataFrame) -> None:
    formats = {name: kind for name, kind in _FORMATS.items() if name in table}
    show.table(table, "Purchase models compared, best first", "model comparison", formats, _NOTE)
