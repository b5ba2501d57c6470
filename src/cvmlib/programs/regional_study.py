"""Regional programs of a unit: each measured by synthetic control, and turned into money."""

import numpy as np
import pandas as pd
from scipy import stats

from cvmlib.programs.prepared import UnitPrograms
from cvmlib.programs.regional import RegionalTest, measure_regions
from cvmlib.programs.value import judge

_COURSE = ("program_id", "date", "actual", "expected", "low", "high", "tested")
_FOUND = (
    "pooled", "pooled_low", "pooled_high", "gain", "gain_low", "gain_high", "back", "back_low", "back_high",
    "probability", "p_value", "moved",
)  # fmt: skip


def study_regions(data: UnitPrograms, margin: float, interval: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every regional program of a unit.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs, with their hurdle (margin asked for per unit of cost).
    margin : float
        Share of the outcome that is margin.
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        program_id; pooled, gain and back with their ends as in `cvmlib.programs.value.value_programs` (regional lifts
        are of whole markets and are not pooled with those of customers); probability, verdict, p_value, moved (share
        of the untreated areas that moved as much in the same weeks), why_not (why it could not be measured, else
        empty).
    DataFrame
        Courses: program_id, date, actual, expected, low, high, tested.
    """
    rows, courses = [], []
    for program in data.programs[data.programs["design"] == "regional"].itertuples():
        areas = data.areas[data.areas["program_id"] == program.program_id]
        series = data.regions[data.regions["region"].isin(areas["region"])]
        treated = set(areas.loc[areas["arm"] == "treated", "region"])
        ended = data.regions["date"].max() if pd.isna(program.end) else program.end
        try:
            if series.empty:
                raise ValueError("outcomes by region are missing, or name other regions than its assignments")
            test = measure_regions(series, treated, program.start, ended, interval)
        except ValueError as error:
            rows.append({"program_id": program.program_id, "verdict": "not measured", "why_not": str(error)})
            continue
        rows.append(
            {"program_id": program.program_id, "why_not": "", **_value(test, margin, program.cost, program.hurdle)}
        )
        courses.append(test.course.assign(program_id=program.program_id)[list(_COURSE)])
    frame = pd.DataFrame(rows, columns=["program_id", *_FOUND, "verdict", "why_not"])
    frame[list(_FOUND)] = frame[list(_FOUND)].astype(float)
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in _COURSE})
    return frame, pd.concat(courses, ignore_index=True) if courses else empty


def _value(test: RegionalTest, margin: float, cost: float, hurdle: float) -> dict:
    gains = {
        "gain": margin * test.incremental,
        "gain_low": margin * test.incremental_low,
        "gain_high": margin * test.incremental_high,
    }
    rate = 1 / cost if cost > 0 else np.nan
    backs = {name.replace("gain", "back"): gain * rate for name, gain in gains.items()}
    sold = test.incremental / test.lift if test.lift else np.nan  # what the areas would have sold
    gap = (hurdle * cost / margin / sold - test.lift) / test.scale
    probability = float(stats.t.sf(gap, test.freedom)) if np.isfinite(gap) else np.nan
    moved = float((test.areas["lift"].abs() >= abs(test.lift)).mean()) if len(test.areas) else np.nan
    return {
        "pooled": test.lift, "pooled_low": test.low, "pooled_high": test.high, **gains, **backs,
        "probability": probability, "verdict": judge(probability), "p_value": test.p_value, "moved": moved,
    }  # fmt: skip
