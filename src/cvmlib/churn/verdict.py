"""The verdict on a subscriber forecast, in plain words: sound, caution or withheld."""

from dataclasses import dataclass

from cvmlib.churn.validation import HoldoutCheck

FEW_LEAVERS, TOO_FEW_LEAVERS = 200, 20
SMALL_BIAS, LARGE_BIAS = 0.05, 0.10
EXTRAPOLATED_LIMIT = 0.3
UNPRICED_LIMIT = 0.01
COVERAGE_LIMIT, COVERAGE_GROUPS = 0.7, 5


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Parameters
    ----------
    active : int
        Active subscriptions.
    leavers : int
        Leavers behind the hazards.
    extrapolated : float
        Share of the forecast subscription-months beyond the observed tenures.
    unpriced : float
        Share of the active subscriptions without a positive price.
    holdout : HoldoutCheck or None
        The check on the last months, when one was possible.
    holdout_months : int
        Months that should have been held out.
    leaving_months : int
        Calendar months in which somebody left; leavers of one alone are those of a snapshot.
    """

    active: int
    leavers: int
    extrapolated: float
    unpriced: float
    holdout: HoldoutCheck | None
    holdout_months: int
    leaving_months: int = 2


def judge(evidence: Evidence) -> dict:
    """Weigh the evidence.

    Returns
    -------
    dict
        level ("sound", "caution" or "withheld"), headline (one sentence), reasons (list of sentences).
    """
    withheld, caution, sound = [], [], []
    _judge_data(evidence, withheld, caution, sound)
    if evidence.holdout is None:
        caution.append(_no_holdout(evidence))
    else:
        _judge_holdout(evidence.holdout, withheld, caution, sound)
    level = "withheld" if withheld else "caution" if caution else "sound"
    headline = {
        "withheld": "The value of these subscribers should not be used yet.",
        "caution": "The value of these subscribers is usable with caution.",
        "sound": "The value of these subscribers rests on enough data and passed its test on the last months.",
    }[level]
    return {"level": level, "headline": headline, "reasons": [*withheld, *caution, *sound]}


def _judge_data(evidence: Evidence, withheld: list[str], caution: list[str], sound: list[str]) -> None:
    if evidence.active == 0:
        withheld.append("No subscription is active at the end of observation, so there is nothing left to value.")
    if evidence.leavers < TOO_FEW_LEAVERS:
        leavers = "1 leaver" if evidence.leavers == 1 else f"{evidence.leavers} leavers"
        withheld.append(f"The data hold {leavers}; retention cannot be learned from fewer than {TOO_FEW_LEAVERS}.")
    elif evidence.leavers < FEW_LEAVERS:
        caution.append(f"Retention is learned from {evidence.leavers} leavers only, so the intervals are wide.")
    else:
        sound.append(f"Retention is learned from {evidence.leavers:,} leavers.")
    if evidence.leaving_months == 1 and evidence.leavers >= TOO_FEW_LEAVERS:
        caution.append(
            "All leavers left in one and the same month, as in a snapshot of who is there and who is not: how months "
            "differ, and whether a forecast of later months holds, cannot be told from it."
        )
    if evidence.extrapolated > EXTRAPOLATED_LIMIT:
        caution.append(
            f"{evidence.extrapolated:.0%} of the months forecast lie beyond any tenure seen so far: there the forecast "
            "continues the trend of the hazard and repeats contract anniversaries in part."
        )
    if evidence.unpriced > UNPRICED_LIMIT:
        caution.append(
            f"{evidence.unpriced:.1%} of the active subscriptions have no positive price and count as worth nothing."
        )


def _no_holdout(evidence: Evidence) -> str:
    if evidence.holdout_months == 0:
        return "No months are held out (holdout_months = 0), so the forecast was never compared with what happened."
    return (
        f"Too few subscribers had come and gone before the last {evidence.holdout_months} months to hold these out, so "
        "the forecast was never compared with what happened."
    )


def _judge_holdout(check: HoldoutCheck, withheld: list[str], caution: list[str], sound: list[str]) -> None:
    total, bias = check.total, check.total["bias"]
    size = abs(bias)
    side = "more" if bias > 0 else "less"
    where = "inside" if total["inside"] else "outside"
    sentence = (
        f"Fitted without the last {check.months} months, the model forecast {size:.1%} {side} revenue than came; what "
        f"came lies {where} its forecast interval."
    )
    if not size <= LARGE_BIAS and not total["inside"]:
        withheld.append(sentence)
    elif size > SMALL_BIAS or not total["inside"]:
        caution.append(sentence)
    else:
        sound.append(sentence)
    inside, groups = int(check.cells["inside"].sum()), len(check.cells)
    told = f"Of {groups} groups of plan and tenure, {inside} kept as many subscribers as their forecast interval says."
    if groups >= COVERAGE_GROUPS and check.coverage < COVERAGE_LIMIT:
        caution.append(told)
    elif groups > 1:
        sound.append(told)
