"""The tables of the attribution pages as a reader sees them: columns named in words, with their units."""

import pandas as pd

from cvmlib.attribution.reconcile import reconcile
from cvmlib.attribution.study import CREDITS, LABELS, Study

CAUSES = ("calibrated", "experiment")
RULE_NAMES = {
    "to_null": "leads to nothing",
    "reconnect": "goes other ways",
    "fail": "journeys fail",
    "fail_refit": "journeys fail, emptied ones dropped",
    "detour": "cut out of the journeys",
}


def share_tables(study: Study, measure: str = "conversions") -> dict[str, pd.DataFrame]:
    """Return each method's shares of all conversions (or value) as plain tables for `reconcile`.

    Parameters
    ----------
    study : Study
        The unit's study.
    measure : {"conversions", "value"}
        What is shared out.

    Returns
    -------
    dict of str to DataFrame
        Method to channel, share, low, high (0 to 1).
    """
    low, high = ("low", "high") if measure == "conversions" else ("value_low", "value_high")
    total = study.notes[measure] or 1.0
    tables = {}
    for method in (*CREDITS, *CAUSES):
        part = study.methods[study.methods["method"] == method]
        if len(part):
            shares = {"share": part[measure] / total, "low": part[low] / total, "high": part[high] / total}
            tables[method] = part[["channel"]].assign(**shares)
    return tables


def side_by_side(frame: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Lay the shares out, a row per channel and a column per method, with the intervals of what was caused.

    Parameters
    ----------
    frame : DataFrame
        From `cvmlib.attribution.reconcile.reconcile`.
    names : dict of str to str
        Methods to show, and their names.
    """
    channels = list(dict.fromkeys(frame["channel"]))
    table = pd.DataFrame({"Channel": channels})
    for method, name in names.items():
        part = frame[frame["method"] == method].set_index("channel").reindex(channels)
        if part["share"].notna().any():
            table[name] = part["share"].to_numpy()
            if method in CAUSES:
                table[f"{name}, from"], table[f"{name}, to"] = part["low"].to_numpy(), part["high"].to_numpy()
    return table


def shares_formats(table: pd.DataFrame) -> dict[str, str]:
    """Formats of a table of shares: every number in per cent."""
    return {name: "percent:1" for name in table.columns if table[name].dtype.kind == "f"}


def reconciled(study: Study, more: dict[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """Lay all methods of a study side by side, with further ones such as a media mix (channel, share, low, high)."""
    return reconcile(share_tables(study) | (more or {}))


def interval_table(study: Study, method: str, currency: str, interval: float) -> pd.DataFrame:
    """One method by channel: conversions and value with their intervals, and how sure the ranks are."""
    words = {
        "channel": "Channel",
        "conversions": "Conversions",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "value": f"Value ({currency})",
        "value_low": f"Value from ({currency})",
        "value_high": f"Value to ({currency})",
        "rank": "Rank",
        "rank_low": "Rank from",
        "rank_high": "Rank to",
        "same_rank": "Share of draws with this rank",
    }
    part = study.methods[study.methods["method"] == method].sort_values("conversions", ascending=False)
    shown = part.rename(columns=words)[list(words.values())].dropna(axis=1, how="all").reset_index(drop=True)
    return shown.astype({name: "int64" for name in ("Rank", "Rank from", "Rank to") if name in shown})


def disagreement_table(found: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Channels with what they are credited with, what they caused, the verdict and the likely reason."""
    words = {
        "channel": "Channel",
        "credit_low": "Share credited, least",
        "credit_high": "most",
        "caused": "Share caused",
        "caused_low": "from",
        "caused_high": "to",
        "cause": "According to",
        "verdict": "Verdict",
        "reason": "Likely reason",
    }
    shown = found.assign(cause=found["cause"].map(names).fillna("–"))
    return shown.rename(columns=words)[list(words.values())]


def test_table(study: Study) -> pd.DataFrame:
    """Experiments: what each showed, or why it shows nothing."""
    words = {
        "channel": "Channel",
        "first_day": "From",
        "last_day": "To",
        "customers": "Customers",
        "conversions": "Conversions caused",
        "conversions_se": "Standard error",
        "p_value": "p of no effect",
        "reason": "Remark",
    }
    return study.tests.rename(columns=words)[list(words.values())]


def next_table(study: Study, currency: str) -> pd.DataFrame:
    """Tests to run next, the most useful first; money per year."""
    words = {
        "channel": "Channel",
        "cost": f"Cost ({currency})",
        "caused": f"Margin caused ({currency})",
        "pays": "Share of chance that it pays",
        "knowing": f"Worth of knowing all ({currency})",
        "test_worth": f"Worth of the test ({currency})",
        "test_cost": f"Cost of the test ({currency})",
        "gain": f"Gain ({currency})",
    }
    return study.next_tests.rename(columns=words)[list(words.values())]


def mover_table(movers: pd.DataFrame, interval: float) -> pd.DataFrame:
    """Channels by stage: how often a touch is followed by a step on."""
    words = {
        "stage": "Stage",
        "channel": "Channel",
        "touches": "Touches",
        "moved": "Share moved on",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "usual": "Share at the stage",
        "stalled": "Share after which nothing followed",
    }
    shown = movers.assign(touches=movers["touches"].round().astype("int64"))
    return shown.rename(columns=words)[list(words.values())]


def stage_table(stages: pd.DataFrame) -> pd.DataFrame:
    """Stages: journeys that reach them, convert, and end there."""
    words = {
        "stage": "Stage",
        "reached": "Journeys that reach it",
        "converted": "of these, converted",
        "ended": "Stalled here",
        "share_ended": "Share of all that stalled",
    }
    whole = {name: stages[name].round().astype("int64") for name in ("reached", "converted", "ended")}
    return stages.assign(**whole).rename(columns=words)[list(words.values())]


def finding_table(findings: pd.DataFrame, currency: str) -> pd.DataFrame:
    """What was left out or treated, with numbers."""
    words = {"what": "Found", "number": "Number", "money": f"Money ({currency})", "treatment": "What is done"}
    return findings.rename(columns=words)[list(words.values())]


def order_table(orders: pd.DataFrame) -> pd.DataFrame:
    """Orders of the chain with their held-out scores."""
    words = {
        "order": "Order",
        "score": "Log score of a held-out journey",
        "behind": "Behind the best",
        "behind_se": "Standard error",
        "chosen": "Chosen",
    }
    return orders.rename(columns=words)[list(words.values())]


def removal_table(removals: pd.DataFrame) -> pd.DataFrame:
    """Effects of all removal rules, a row per channel; effects that are no shares are told below the table."""
    wide = removals.pivot(index="channel", columns="rule", values="effect")[list(RULE_NAMES)]
    return wide.rename(columns=RULE_NAMES).rename_axis("Channel").reset_index()


def method_names(study: Study) -> dict[str, str]:
    """Methods that a study has, and their names, those that share out first."""
    there = set(study.methods["method"])
    return {name: label for name, label in LABELS.items() if name in there}


def refusal_table(study: Study) -> pd.DataFrame:
    """Methods that the data cannot carry, and why."""
    return pd.DataFrame({"Method": study.refused["method"].map(LABELS), "Why not": study.refused["reason"]})
