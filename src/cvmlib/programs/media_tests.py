"""Programs that varied the spend of a media channel, as what they measured: lift tests for the media mix.

The lift is what the program's own test says, with its own error, and not what pooling over programs makes of it: the
media mix has priors of its own, and a lift that was shrunk before would be shrunk twice. The error is that of a normal
distribution with the same 90% interval as the Student t of the test.
"""

import numpy as np
import pandas as pd
from scipy import stats

from cvmlib.programs import lift, randomisation
from cvmlib.programs.counts import WINDOW_DAYS, count_arms
from cvmlib.programs.prepared import UnitPrograms
from cvmlib.programs.regional import RegionalTest, measure_regions

COLUMNS = (
    "program_id", "label", "channel", "design", "start", "end", "cost", "lift", "lift_error", "base", "regions",
    "untreated", "why_not",
)  # fmt: skip
_MATCHED = 0.95
"""Quantile at which the normal distribution of the error meets the Student t of the test."""


def list_media_tests(data: UnitPrograms) -> pd.DataFrame:
    """List the programs of a unit that name a media channel, with what their tests measured.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs.

    Returns
    -------
    DataFrame
        program_id, label, channel (of ``media``), design, start and end (first and last day of the test), cost (money),
        lift and lift_error (money of the outcome that the treated brought more, over the test), base (money that they
        would have brought anyway), regions and untreated (lists of areas; empty for customers), why_not (why it
        measured nothing, else empty).
    """
    named = data.programs[data.programs["media_channel"].notna() & (data.programs["media_channel"] != "")]
    customers = _measure_customers(data, named[named["design"] == "randomised"])
    rows = []
    for program in named.to_dict("records"):
        known = {"channel": program["media_channel"], **{n: program[n] for n in ("program_id", "label", "design")}}
        known |= {"cost": program["cost"], "start": program["start"], "end": program["start"], "lift": np.nan}
        known |= {"lift_error": np.nan, "base": np.nan, "regions": [], "untreated": [], "why_not": ""}
        if program["design"] == "regional":
            known |= _measure_areas(data, program)
        elif program["design"] == "randomised":
            known |= customers[program["program_id"]]
        else:
            known["why_not"] = "nobody was held back by chance, so it measured nothing"
        rows.append(known)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = dict.fromkeys(("cost", "lift", "lift_error", "base"), float)
    return frame.astype(numbers | dict.fromkeys(("start", "end"), "datetime64[us]"))


def normal_error(scale: float, freedom: float) -> float:
    """Return the standard deviation of the normal distribution with the same 90% interval as a Student t."""
    return float(scale * stats.t.ppf(_MATCHED, freedom) / stats.norm.ppf(_MATCHED))


def _measure_customers(data: UnitPrograms, programs: pd.DataFrame) -> dict[str, dict]:
    """Lift of programs drawn at random over customers, by program."""
    if programs.empty:
        return {}
    if data.rows is None:
        return dict.fromkeys(programs["program_id"], {"why_not": "the outcomes of its customers are not recorded"})
    rows = data.rows.filter(data.rows.program_id.isin(programs["program_id"].tolist()))
    counts = count_arms(rows, data.dimensions)
    lifts = lift.measure_lift(counts)
    lifts = lifts[lifts["dimension"] == ""].set_index("program_id")
    checks = randomisation.check_randomisation(counts, data.programs.set_index("program_id")["treated_share"])
    faults = {row["program_id"]: " ".join(randomisation.name_faults(row)) for row in checks.to_dict("records")}
    return {p["program_id"]: _take_customers(data, p, lifts, faults) for p in programs.to_dict("records")}


def _take_customers(data: UnitPrograms, program: dict, lifts: pd.DataFrame, faults: dict[str, str]) -> dict:
    days = program["window_days"] if np.isfinite(program["window_days"]) else WINDOW_DAYS
    last = program["last_drawn"].normalize() + pd.Timedelta(days=round(days) - 1)
    if not data.money:
        return {"end": last, "why_not": "its outcome is not recorded in money"}
    if fault := faults.get(program["program_id"]):
        return {"end": last, "why_not": f"its randomisation is broken. {fault}"}
    if last > pd.Timestamp(data.end):
        return {"end": last, "why_not": "its window was not over at the end of observation"}
    found = lifts.loc[program["program_id"]] if program["program_id"] in lifts.index else None
    if found is None or lift.count_buyers(found) < lift.FEWEST_BUYERS or not found["base"] > 0:
        return {"end": last, "why_not": "too few customers bought in its window, in one arm or both"}
    treated = found["treated"]
    error = normal_error(found["lift_se"], found["freedom"])
    return {"end": last, "lift": found["lift"] * treated, "lift_error": error * treated,
            "base": found["base"] * treated}  # fmt: skip


def _measure_areas(data: UnitPrograms, program: dict) -> dict:
    """Lift of a regional program, and the areas it was measured in."""
    areas = data.areas[data.areas["program_id"] == program["program_id"]]
    treated = sorted(areas.loc[areas["arm"] == "treated", "region"])
    ended = data.regions["date"].max() if pd.isna(program["end"]) else program["end"]
    rivals = find_rivals(data, program, ended)
    untreated = sorted(set(areas.loc[areas["arm"] == "control", "region"]) - set(rivals["region"]))
    found: dict = {"regions": treated, "untreated": untreated}
    beside = rivals.loc[rivals["region"].isin(treated), "label"].unique()
    if len(beside):
        return found | {"why_not": f"{' and '.join(beside)} ran in the same areas at the same time"}
    series = data.regions[data.regions["region"].isin([*treated, *untreated])]
    try:
        if series.empty:
            raise ValueError("outcomes by region are missing, or name other regions than its assignments")
        test = measure_regions(series, set(treated), program["start"], ended, 2 * _MATCHED - 1)
    except ValueError as error:
        return found | {"why_not": str(error)}
    return found | _take_areas(test)


def _take_areas(test: RegionalTest) -> dict:
    tested = test.course[test.course["tested"]]
    base = float(tested["expected"].sum())
    period = test.course["date"].diff().median()
    error = normal_error(test.scale, test.freedom) * base
    return {"start": tested["date"].min(), "end": tested["date"].max() + period - pd.Timedelta(days=1),
            "lift": test.incremental, "lift_error": error, "base": base}  # fmt: skip


def find_rivals(data: UnitPrograms, program: dict, ended: pd.Timestamp) -> pd.DataFrame:
    """List the areas that other regional programs treated at the same time.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs.
    program : dict
        Row of ``programs``.
    ended : Timestamp
        Last day of the program.

    Returns
    -------
    DataFrame
        label (of the other program), region.
    """
    other = data.programs[data.programs["program_id"] != program["program_id"]]
    ends = other["end"].fillna(pd.Timestamp(data.end))
    other = other[(other["start"] <= ended) & (ends >= program["start"])]
    treated = data.areas[data.areas["arm"] == "treated"]
    return treated.merge(other[["program_id", "label"]], on="program_id")[["label", "region"]]
