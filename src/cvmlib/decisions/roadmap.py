"""What to start, change, stop and test, in the order of value per effort."""

import numpy as np
import pandas as pd

from cvmlib.programs.results import UnitResult

SURE = 0.8
"""Probability of a net value above zero from which an action is started without a further test."""

COLUMNS = ["kind", "what", "value", "value_low", "value_high", "effort", "per_effort", "probability", "why"]


def list_moves(actions: pd.DataFrame, programs: UnitResult) -> pd.DataFrame:
    """List the moves of a unit.

    Parameters
    ----------
    actions : DataFrame
        From `cvmlib.decisions.plan.tabulate_actions`.
    programs : UnitResult
        The study of the unit's programs.

    Returns
    -------
    DataFrame
        kind (start, change, stop, test), what, value with _low and _high (money, net of cost; of stopping, the loss
        that is saved; of a test, what knowing is worth), effort (money), per_effort (value per unit of it), probability
        (of a value above 0), why. First what saves money without effort, then by value per effort.
    """
    verdicts = programs.results.set_index("program_id")["verdict"]
    rows = [*_list_starts(actions, verdicts), *_list_stops(actions, programs), *_list_tests(actions, programs)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["per_effort"] = table["value"] / table["effort"].where(table["effort"] > 0)
    free = table["effort"].fillna(0) <= 0
    order = np.lexsort((-table["value"].fillna(0), -table["per_effort"].fillna(-np.inf), ~free, table["value"].isna()))
    return table.iloc[order].reset_index(drop=True)


def _list_starts(actions: pd.DataFrame, verdicts: pd.Series) -> list[dict]:
    """Actions that the plan takes: new ones, and those that pay for fewer customers than their program treated."""
    rows = []
    for row in actions[actions["contacts"].fillna(0) > 0].to_dict("records"):
        judged = {verdicts.get(program) for program in str(row["programs"]).split(", ")}
        few = row["paying"] < row["suited"]
        doubtful = not judged & {"scale", "keep"}
        sure = row["probability"] >= SURE
        kind = "change" if doubtful and few and sure else "start" if sure else "test"
        share = f"It pays for {row['paying']:,.0f} of the {row['suited']:,.0f} customers it is meant for"
        why = f"{share}; {row['contacts']:,.0f} are contacted."
        if kind == "change":
            why = f"For everybody, its program is to be {_say(judged)}. {why}"
        if kind == "test":
            why = (
                f"{share}, but it may lose money: contact these {row['contacts']:,.0f} and measure against the holdout."
            )
        rows.append(
            {
                "kind": kind,
                "what": row["label"],
                **{name: row[name] for name in ("value", "value_low", "value_high", "probability")},
                "effort": row["cost"],
                "why": why,
            }
        )
    return rows


_TOLD = {"stop": "stopped", "retest": "tested again", "withheld": "withheld", "not measured": "measured first"}


def _say(judged: set) -> str:
    return " or ".join(sorted(_TOLD.get(str(one), str(one)) for one in judged))


def _list_stops(actions: pd.DataFrame, programs: UnitResult) -> list[dict]:
    """Programs that do not earn their cost, unless an action goes on with them for fewer customers."""
    kept = {one for names in actions.loc[actions["contacts"].fillna(0) > 0, "programs"] for one in names.split(", ")}
    stopped = programs.results[(programs.results["verdict"] == "stop") & ~programs.results["program_id"].isin(kept)]
    return [
        {
            "kind": "stop",
            "what": row["label"],
            "value": row["cost"] - row["gain"],
            "value_low": row["cost"] - row["gain_high"],
            "value_high": row["cost"] - row["gain_low"],
            "effort": 0.0,
            "probability": 1.0 - row["probability"],
            "why": f"{row['reason']} Stopping saves its cost, {row['cost']:,.0f}, less what it brought.",
        }
        for row in stopped.to_dict("records")
    ]


def _list_tests(actions: pd.DataFrame, programs: UnitResult) -> list[dict]:
    """Tests that are worth more than they cost, and actions of which no effect is known."""
    tests = programs.tests[(programs.tests["why_not"] == "") & (programs.tests["net"] > 0)]
    names = programs.results.set_index("program_id")["label"]
    tested = set(tests["program_id"])
    rows = [
        {
            "kind": "test",
            "what": row["label"],
            "value": row["worth"],
            "effort": row["cost"],
            "why": f"{str(row['reason']).capitalize()}: {row['customers']:,.0f} customers for {row['days']:.0f} days, "
            f"{row['held_back']:.0%} of them held back.",
        }
        for row in tests.to_dict("records")
    ]
    for row in actions[actions["reason"].fillna("") != ""].to_dict("records"):
        if not set(str(row["programs"]).split(", ")) & tested:
            rows.append({"kind": "test", "what": row["label"], "why": f"No measured effect: {row['reason']}"})
    return [row for row in rows if row["what"] in set(names) | set(actions["label"])]
