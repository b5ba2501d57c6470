"""The test to run next for every program of a unit that has none, too small a one, or a broken one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cvmlib.programs.counts import WINDOW_DAYS
from cvmlib.programs.design import FEWEST, Outlook, plain_test, propose_test, rank_tests
from cvmlib.programs.prepared import UnitPrograms

MONTH_DAYS = 365.25 / 12
REASONS = {
    "retest": "the test so far leaves it open",
    "withheld": "its randomisation is broken",
    "not measured": "nobody was held back at random",
}


def propose_tests(
    data: UnitPrograms,
    results: pd.DataFrame,
    margin: float,
    draws: Mapping[str, np.ndarray],
    fresh: np.ndarray,
    horizon_months: int,
) -> pd.DataFrame:
    """Propose and rank the next tests.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs.
    results : DataFrame
        Results with verdicts and hurdles, one row per program.
    margin : float
        Share of the money that is margin.
    draws : mapping of str to array
        Draws of the lift of each program that was pooled.
    fresh : array
        Draws of the lift of a program of this unit that was never tested.
    horizon_months : int
        Months over which a decision counts.

    Returns
    -------
    DataFrame
        See `cvmlib.programs.design.rank_tests`.
    """
    proposals = []
    for row in results[results["verdict"].isin(list(REASONS))].to_dict("records"):
        proposal = {"program_id": row["program_id"], "label": row["label"], "reason": REASONS[row["verdict"]]}
        outlook = _look_ahead(data, results, row, margin, horizon_months * MONTH_DAYS)
        if isinstance(outlook, str):
            proposals.append(proposal | {"why_not": outlook})
            continue
        if not data.money or not np.isfinite(outlook["cost"]):
            known = {name: outlook[name] for name in ("base", "spread", "audience", "window_days")}
            proposals.append(proposal | plain_test(**known))
            continue
        known = draws.get(row["program_id"], fresh)
        best = propose_test(Outlook(draws=np.asarray(known), **outlook))
        small = f"fewer than {FEWEST} customers can be reached"
        proposals.append(proposal | (best or {"why_not": small}))
    return rank_tests(proposals)


def _look_ahead(data: UnitPrograms, results: pd.DataFrame, row: dict, margin: float, horizon_days: float) -> dict | str:
    """Collect what is known of a program before its next test, or say why none can be designed."""
    if row["design"] == "regional":
        return "it runs by regions: hold back other regions, at a time with a longer past"
    if row["intended_outcome"] == "acquisition":
        return "it is for people who are not customers yet, who cannot be drawn from a list: hold regions back instead"
    window = row["window_days"] if np.isfinite(row["window_days"]) else WINDOW_DAYS
    known = _own_spread(data, row) or _typical_spread(data, results, window) or _response_spread(data, row)
    if known is None:
        return "nothing is known of what its customers bring without it: supply transactions"
    base, spread, everyone = known
    reached = float(row["treated"] + row["control"])
    audience = max(reached, everyone)  # what is at stake is to run it for everyone
    return {
        "base": margin * base,
        "spread": margin * spread,
        "audience": audience,
        "cost": row["cost"] / (float(row["treated"]) or max(audience, 1.0)),
        "hurdle": row["hurdle"],
        "window_days": int(window),
        "horizon_days": horizon_days,
    }


def _own_spread(data: UnitPrograms, row: dict) -> tuple[float, float, float] | None:
    """Money per customer and its standard deviation from the program's own arms."""
    if not (np.isfinite(row["base"]) and row["base"] > 0 and row["lift_se"] > 0 and not row["broken"]):
        return None
    sizes = 1 / row["treated"] + 1 / row["control"]
    everyone = data.baseline["customers"] if data.baseline else 0.0
    return row["base"], row["lift_se"] / np.sqrt(sizes), everyone


def _response_spread(data: UnitPrograms, row: dict) -> tuple[float, float, float] | None:
    """Rate of conversion and its standard deviation among the treated, where conversions are all there is."""
    rate = row["response"]
    return None if data.money or not 0 < rate < 1 else (rate, float(np.sqrt(rate * (1 - rate))), 0.0)


def _typical_spread(data: UnitPrograms, results: pd.DataFrame, window: float) -> tuple[float, float, float] | None:
    """Money per customer from the unit's baseline, else from its other programs (in the mean)."""
    if not data.money:
        return None
    if data.baseline and data.baseline["mean"] > 0:
        share = window / WINDOW_DAYS
        rest = np.sqrt(1 - data.baseline["explained"])
        mean, spread = data.baseline["mean"] * share, data.baseline["spread"] * np.sqrt(share) * rest
        return mean, spread, data.baseline["customers"]
    others = [_own_spread(data, row) for row in results.to_dict("records")]
    known = [other for other in others if other is not None]
    return tuple(np.mean(known, axis=0)) if known else None
