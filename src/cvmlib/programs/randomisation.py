"""Whether the arms are what chance makes: sample-ratio mismatch, equal ratios over segments, equal pasts.

A holdout whose sizes chance would hardly produce was broken somewhere between draw and record (bounced messages left
out, control customers treated after all), and what it lost is rarely lost at random. Then no difference between the
arms is an effect, and the verdict is withheld.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

LIMIT = 0.001
"""Probability below which a departure is not put down to chance."""

USUAL_SHARES = tuple(sorted({*(i / 20 for i in range(1, 20)), 1 / 3, 2 / 3, 1 / 8, 7 / 8, 0.01, 0.02, 0.98, 0.99}))
"""Shares of treated customers that people plan; the nearest one is taken where no plan is supplied."""

FEWEST_EXPECTED = 5.0


def check_randomisation(counts: pd.DataFrame, planned: pd.Series | None = None) -> pd.DataFrame:
    """Test every program with two arms.

    Parameters
    ----------
    counts : DataFrame
        From `cvmlib.programs.counts.count_arms`.
    planned : Series, optional
        Planned share of treated customers (0 to 1) by program_id; missing where no plan is known.

    Returns
    -------
    DataFrame
        program_id, treated, control (customers), share (treated), planned, stated (whether the plan was supplied),
        ratio (probability of sizes as uneven as these, exact binomial), segments (that the share is the same in all
        segments, chi-square, smallest over the dimensions times their number), past (that money before is equal in
        mean), broken (whether any is below `LIMIT`).
    """
    rows = []
    for program, part in counts.groupby("program_id", sort=True):
        arms = part[part["dimension"] == ""].set_index("arm")
        if not {"treated", "control"} <= set(arms.index):
            continue
        treated, control = (int(arms.loc[name, "customers"]) for name in ("treated", "control"))
        share = treated / (treated + control)
        plan = np.nan if planned is None else float(planned.get(program, np.nan))
        stated = bool(np.isfinite(plan) and 0 < plan < 1)
        plan = plan if stated else min(USUAL_SHARES, key=lambda usual: abs(usual - share))
        tests = {
            "ratio": float(stats.binomtest(treated, treated + control, plan).pvalue),
            "segments": _compare_segments(part),
            "past": _compare_past(arms),
        }
        broken = min(tests.values()) < LIMIT
        rows.append((program, treated, control, share, plan, stated, *tests.values(), broken))
    names = ["program_id", "treated", "control", "share", "planned", "stated", "ratio", "segments", "past", "broken"]
    return pd.DataFrame(rows, columns=names)


def _compare_segments(counts: pd.DataFrame) -> float:
    """Probability that shares differ so much between segments by chance, corrected for the number of dimensions."""
    found = []
    for _, part in counts[counts["dimension"] != ""].groupby("dimension"):
        table = part.set_index(["level", "arm"])["customers"].unstack(fill_value=0.0).to_numpy(float)
        if table.shape[1] < 2 or len(table) < 2:
            continue
        expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
        table = table[expected.min(1) >= FEWEST_EXPECTED]
        if len(table) >= 2:
            found.append(float(stats.chi2_contingency(table, correction=False).pvalue))
    return min(1.0, min(found) * len(found)) if found else 1.0


def _compare_past(arms: pd.DataFrame) -> float:
    """Probability that mean money before differs so much between the arms by chance."""
    means, variances = [], []
    for name in ("treated", "control"):
        n, x1, x2 = (float(arms.loc[name, column]) for column in ("customers", "x1", "x2"))
        means.append(x1 / n)
        variances.append(max(x2 / n - (x1 / n) ** 2, 0.0) / n)
    spread = sum(variances)
    return float(2 * stats.norm.sf(abs(means[0] - means[1]) / np.sqrt(spread))) if spread > 0 else 1.0


def name_faults(row: Mapping[str, Any]) -> list[str]:
    """Say what is broken in the randomisation of one program (a row of `check_randomisation`), a sentence each."""
    faults = []
    if row["ratio"] < LIMIT:
        of = "planned" if row["stated"] else "the nearest usual share, as none is stated in programs.treated_share,"
        faults.append(
            f"{row['treated']:,} customers are treated and {row['control']:,} held back, a treated share of "
            f"{row['share']:.1%}; {of} is {row['planned']:.1%}. Sizes so uneven come by chance {_odds(row['ratio'])}."
        )
    if row["segments"] < LIMIT:
        faults.append(
            "The treated share differs between segments more than chance allows: such a difference comes "
            f"{_odds(row['segments'])}."
        )
    if row["past"] < LIMIT:
        faults.append(
            "Treated and held-back customers differed before the program began more than chance allows: such a "
            f"difference comes {_odds(row['past'])}."
        )
    return faults


def _odds(probability: float) -> str:
    if probability < 1e-6:
        return "less than once in a million draws"
    return f"about once in {1 / probability:,.0f} draws"
