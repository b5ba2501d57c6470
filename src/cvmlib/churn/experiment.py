r"""What contacting does, measured: the effect of a randomised retention program by segment.

Of those drawn to be contacted and of those drawn to be left alone it is counted, by plan and year of tenure, how many
left within the window. A contact keeps a share of those who would have left, so segments of different risk are alike
in the ratio of both shares, not in their difference: :math:`\tau` is the log of the share that left among the controls
over that among the treated, with sampling variance :math:`v` (delta method). Segments are drawn together:

.. math:: \hat\tau_s \sim N(\tau_s, v_s), \qquad \tau_s \sim N(\mu, \omega^2),

flat in :math:`\mu` and in :math:`\omega` (on a grid), all other integrals exact. Of a segment's subscribers
:math:`p_s (1 - e^{-\tau_s})` are kept, where :math:`p_s` is the share that leaves uncontacted, drawn so that both arms
together leave as they did. A segment that had no part in the experiment has the ratio of a new segment. An effect may
be negative: some are reminded to leave.

References
----------
Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 5.4.
"""

from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.churn.money import Losses, Outlook
from cvmlib.churn.months import closing_day, month_index, month_index_column
from cvmlib.churn.saving import Response
from cvmlib.errors import DataError

SPREADS = 41
ARMS = ("treated", "control")
SEGMENT = ["plan", "tenure_years"]


def count_experiment(
    spells: ir.Table, assignments: ir.Table, programs: ir.Table, window: int, end: date
) -> pd.DataFrame:
    """Count who left, by program, segment and arm, in the engine that holds the tables.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`.
    assignments : ibis Table
        program_id, customer_id, arm ("treated", "control"); optionally assigned_on (otherwise the program's start).
    programs : ibis Table
        program_id, intended_outcome, start; those meant for retention are counted.
    window : int
        Months after the assignment in which leaving counts.
    end : datetime.date
        End of observation; assignments whose window is not over yet are left out.

    Returns
    -------
    pandas.DataFrame
        program_id, plan, tenure_years (at the assignment), arm, subscriptions, left.
    """
    closing = closing_day(end)
    programs = programs.filter(programs.intended_outcome == "retention")
    programs = programs.select("program_id", program_start=programs.start.cast("date"))
    drawn = assignments.inner_join(programs, "program_id")
    day = drawn.program_start
    if "assigned_on" in assignments.columns:
        day = drawn.assigned_on.cast("date").coalesce(drawn.program_start)
    drawn = drawn.select("program_id", "customer_id", "arm", drawn_on=day)
    rows = drawn.inner_join(spells, "customer_id")
    rows = rows.filter((rows.start <= rows.drawn_on) & (rows.end.isnull() | (rows.end > rows.drawn_on)))
    month = month_index_column(rows.drawn_on, closing)
    rows = rows.mutate(drawn_in=month, tenure_years=((month - rows.joined) / 12).floor().cast("int64"))
    rows = rows.filter(rows.drawn_in + window <= month_index(end, closing))
    left = rows.churned & (rows.joined + rows.tenure <= rows.drawn_in + window)
    table = rows.group_by("program_id", *SEGMENT, "arm").aggregate(
        subscriptions=rows.count(), left=left.cast("int64").sum()
    )
    return table.order_by("program_id", *SEGMENT, "arm").execute()


@dataclass(frozen=True)
class Effects:
    """Posterior of the share that contacting keeps from leaving within the window.

    Parameters
    ----------
    segments : pandas.DataFrame
        plan, tenure_years, treated, control (subscriptions), left_treated, left_control, effect (raw), one row each.
    draws : array, shape (draws, segments)
        Effects of these segments.
    mean, spread : array, shape (draws,)
        Mean and standard deviation of the log ratios of segments: what leaves uncontacted over what leaves contacted.
    """

    segments: pd.DataFrame
    draws: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def estimate_effects(counts: pd.DataFrame, draws: int = 1000, seed: int = 1) -> Effects:
    """Posterior of the effects by segment.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns of `count_experiment`, of one program or of several with the same contact.
    draws, seed : int
        Draws and seed.

    Returns
    -------
    Effects
        Of the segments with somebody in both arms.

    Raises
    ------
    DataError
        When no segment has both arms.
    """
    table = _by_segment(counts)
    if table.empty:
        arms = ", ".join(f"{arm} ({int(n):,})" for arm, n in counts.groupby("arm")["subscriptions"].sum().items())
        raise DataError(
            f"Table assignments: in no group of plan and tenure are there active subscriptions of both arms; found "
            f"{arms or 'none'}. Supply who was treated and who was held back, drawn at random, and the day of it."
        )
    n, left = ({arm: table[f"{name}{arm}"].to_numpy(float) for arm in ARMS} for name in ("", "left_"))
    effect = left["control"] / n["control"] - left["treated"] / n["treated"]
    ratio = np.log((left["control"] + 0.5) / (n["control"] + 1)) - np.log((left["treated"] + 0.5) / (n["treated"] + 1))
    variance = sum(1 / (left[arm] + 0.5) - 1 / (n[arm] + 1) for arm in ARMS)
    rng = np.random.default_rng(seed)
    top = 3 * max(float(ratio.std()), float(np.sqrt(variance.min())), 1e-6)
    grid = np.linspace(0.0, top, SPREADS) if len(ratio) > 1 else np.array([0.0])
    precision = 1 / (variance + grid[:, None] ** 2)
    centre = (precision * ratio).sum(axis=1) / precision.sum(axis=1)
    log = 0.5 * np.log(precision).sum(axis=1) - 0.5 * np.log(precision.sum(axis=1))
    log -= 0.5 * (precision * (ratio - centre[:, None]) ** 2).sum(axis=1)
    weights = np.exp(log - log.max())
    place = rng.choice(len(grid), size=draws, p=weights / weights.sum())
    mean = rng.normal(centre[place], precision[place].sum(axis=1) ** -0.5)
    between = grid[place, None] ** 2
    pull = between / (between + variance)
    found = rng.normal(mean[:, None] + pull * (ratio - mean[:, None]), np.sqrt(pull * variance))
    size, leavers = n["control"] + n["treated"], left["control"] + left["treated"]
    risk = rng.beta(leavers + 0.5, size - leavers + 0.5, (draws, len(size)))
    alone = np.minimum(risk * size / (n["control"] + n["treated"] * np.exp(-found)), 1.0)
    return Effects(table.assign(effect=effect), alone * -np.expm1(-found), mean, grid[place])


def _by_segment(counts: pd.DataFrame) -> pd.DataFrame:
    names = {"subscriptions": "{}", "left": "left_{}"}
    parts = [
        counts[counts["arm"] == arm]
        .groupby(SEGMENT, as_index=False)[list(names)]
        .sum()
        .rename(columns={column: name.format(arm) for column, name in names.items()})
        for arm in ("treated", "control")
    ]
    return parts[0].merge(parts[1], on=SEGMENT)


def measure_response(outlook: Outlook, losses: Losses, effects: Effects, experiment: str, seed: int = 1) -> Response:
    """Response of the active cells to being contacted, as the experiment found it for their segment.

    Parameters
    ----------
    outlook, losses : Outlook, Losses
        The months to come, and the chance to leave within the window, which an effect cannot exceed.
    effects : Effects
        From `estimate_effects`.
    experiment : str
        Name of the program.
    seed : int, default 1
        Seed for segments that had no part in it.

    Returns
    -------
    Response
        Share saved by draw and cell; negative where contacting drives away.
    """
    rng = np.random.default_rng(seed)
    draws = len(losses.chance)
    pick = rng.integers(len(effects.mean), size=draws)
    known = {(plan, years): place for place, (plan, years) in enumerate(effects.segments[SEGMENT].to_numpy().tolist())}
    new = rng.normal(effects.mean[pick], effects.spread[pick])
    keys = list(zip(outlook.cells["plan"], outlook.cells["tenure"] // 12, strict=True))
    others: dict = {}
    for key in keys:
        if key not in known and key not in others:
            others[key] = rng.permutation(new)
    saved = np.column_stack([
        effects.draws[pick, known[key]] if key in known else -np.expm1(-others[key]) * losses.chance[:, cell]
        for cell, key in enumerate(keys)
    ])  # fmt: skip
    return Response(np.minimum(saved, losses.chance), experiment)


def find_program(programs: ir.Table, counts: pd.DataFrame) -> str:
    """Name the retention programs behind the counts; empty without any that has both arms."""
    arms = counts.groupby("program_id")["arm"].nunique()
    both = arms.index[arms == 2].tolist()
    if not both:
        return ""
    labels = programs.filter(programs.program_id.isin(both)).order_by("program_id")
    return ", ".join(labels.select(name=labels.label.coalesce(labels.program_id)).execute()["name"].tolist())


def tabulate_effects(effects: Effects, interval: float = 0.9) -> pd.DataFrame:
    """Tabulate the effects by segment.

    Returns
    -------
    pandas.DataFrame
        plan, tenure_years, treated, control, left_treated, left_control (subscriptions), raw (difference of the
        shares), effect with _low and _high (share of those contacted who stay because of it).
    """
    low, high = np.quantile(effects.draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    table = effects.segments.rename(columns={"effect": "raw"})
    return table.assign(effect=effects.draws.mean(axis=0), effect_low=low, effect_high=high)
