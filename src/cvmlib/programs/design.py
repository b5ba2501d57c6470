"""The test to run next for each program: size, holdout, duration, cost, power, and what knowing is worth.

Before the test the lift of a program is known as its pool knows it (or as its own test left it). A test of n customers
narrows that; the expected value of the sampled information (Raiffa and Schlaifer 1961) is the gain from deciding
after it instead of now, for all customers the program would meet within the horizon. The design with the largest
value less cost is proposed, and programs are ranked by it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from cvmlib.programs.value import SCALE, STOP

Array = npt.NDArray[np.float64]

HELD_BACK = (0.1, 0.2, 0.35, 0.5)
SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Customers of the test as multiples of the audience of one window; more than one means further waves."""
POWER = 0.8
TRIM = 0.01
FEWEST = 100


@dataclass(frozen=True)
class Outlook:
    """What is known of a program before its next test.

    Parameters
    ----------
    draws : array
        Draws of its true lift (share of the control mean).
    base : float
        Margin per customer and window without the program, money.
    spread : float
        Standard deviation of the margin per customer after what CUPED takes out, money.
    audience : float
        Customers per window.
    cost : float
        Cost per treated customer, money.
    hurdle : float
        Margin asked for per unit of cost.
    window_days : int
        Days until the outcome is counted.
    horizon_days : float
        Days over which the decision counts.
    """

    draws: Array
    base: float
    spread: float
    audience: float
    cost: float
    hurdle: float
    window_days: int
    horizon_days: float


def propose_test(outlook: Outlook) -> dict[str, float]:
    """Return the best test of a program.

    Parameters
    ----------
    outlook : Outlook
        What is known now.

    Returns
    -------
    dict
        customers, held_back (share), days, waves, cost (margin forgone by holding back, or spent in vain by treating),
        detectable (lift found with 80% power at a 5% one-sided level, against the break-even lift), clear (probability
        that the test ends in scale or stop), worth (expected value of the information, money), net (worth less cost),
        needed (break-even lift), now (probability of a return above the hurdle as known now).
    """
    draws = np.clip(outlook.draws, *np.quantile(outlook.draws, [TRIM, 1 - TRIM]))
    mean, variance = float(draws.mean()), float(draws.var())
    needed = outlook.hurdle * outlook.cost / outlook.base
    gain = outlook.base * mean - outlook.hurdle * outlook.cost  # per treated customer, above the hurdle
    windows = max(outlook.horizon_days / outlook.window_days, 1.0)
    best: dict[str, float] = {}
    for size in SIZES:
        customers = np.floor(size * outlook.audience)
        if customers < FEWEST:
            continue
        waves = int(np.ceil(size))
        later = max(windows - waves, 0.0) * outlook.audience
        for held in HELD_BACK:
            se = outlook.spread / outlook.base / np.sqrt(customers * held * (1 - held))
            learned = np.sqrt(variance**2 / (variance + se**2))
            step = outlook.base * learned
            z = gain / step
            worth = later * (gain * stats.norm.cdf(z) + step * stats.norm.pdf(z) - max(gain, 0.0))
            cost = customers * (held * max(gain, 0.0) + (1 - held) * max(-gain, 0.0))
            if not best or worth - cost > best["net"]:
                best = {
                    "customers": customers, "held_back": held, "days": waves * outlook.window_days, "waves": waves,
                    "cost": cost, "detectable": needed + (stats.norm.ppf(0.95) + stats.norm.ppf(POWER)) * se,
                    "clear": _clear(mean - needed, variance, learned), "worth": worth, "net": worth - cost,
                    "needed": needed, "now": float((outlook.draws > needed).mean()),
                }  # fmt: skip
    return best


def plain_test(base: float, spread: float, audience: float, window_days: int) -> dict[str, float]:
    """Return the test of half the audience against the other half, where no money says what knowing is worth.

    Parameters
    ----------
    base, spread : float
        Mean and standard deviation of the outcome per customer without the program.
    audience : float
        Customers per window.
    window_days : int
        Days until the outcome is counted.

    Returns
    -------
    dict
        customers, held_back, days, waves, detectable (lift found with 80% power at a 5% one-sided level).
    """
    se = spread / base / np.sqrt(audience / 4)
    detectable = (stats.norm.ppf(0.95) + stats.norm.ppf(POWER)) * se
    return {"customers": audience, "held_back": 0.5, "days": window_days, "waves": 1, "detectable": detectable}


def _clear(ahead: float, variance: float, learned: float) -> float:
    """Probability that the posterior after the test says scale or stop, by the normal approximation."""
    rest = np.sqrt(max(variance - learned**2, 1e-300))
    up = stats.norm.sf((stats.norm.ppf(SCALE) * rest - ahead) / learned)
    down = stats.norm.cdf((stats.norm.ppf(STOP) * rest - ahead) / learned)
    return float(up + down)


def rank_tests(proposals: list[dict]) -> pd.DataFrame:
    """Rank programs by the value of their test less its cost, best first; those without a design come last.

    Parameters
    ----------
    proposals : list of dict
        program_id, label, reason (why a test is missing), and the keys of `propose_test` (or ``why_not``).
    """
    names = [
        "program_id", "label", "reason", "why_not", "customers", "held_back", "days", "waves", "cost", "detectable",
        "clear", "worth", "net", "needed", "now",
    ]  # fmt: skip
    frame = pd.DataFrame(proposals, columns=names)
    frame["why_not"] = frame["why_not"].astype(object).where(frame["why_not"].notna(), "").astype(str)
    numbers = [name for name in names if name not in ("program_id", "label", "reason", "why_not")]
    frame[numbers] = frame[numbers].astype(float)
    return frame.sort_values(["net", "label"], ascending=[False, True], na_position="last", ignore_index=True)
