"""Whether the forecast is to be trusted: holdout errors, coverage, and the verdict that every report opens with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.timing import Regularity
from cvmlib.clv.value import Prediction
from cvmlib.inference import Diagnostics

Outcome = Literal["pass", "warn", "fail"]

#: A forecast that misses the total by more than this, outside its interval, is not to be acted upon.
BIAS_LIMIT = 0.20
#: Shortfall of the coverage of single customers, in points, that warns and that fails.
COVERAGE_WARN, COVERAGE_FAIL = 0.05, 0.10
#: Erlang shapes within these bounds are near enough to random timing; beyond the outer ones P(alive) misleads.
REGULARITY_WARN, REGULARITY_FAIL = (0.8, 1.25), (0.5, 2.0)
#: The measured shape is rough where timing is regular, so what is measured may differ more from what a model has.
REGULARITY_WARN_RHYTHM = (0.67, 1.5)
#: With fewer repeat buyers a unit's forecast rests largely on the other units.
FEW_REPEAT_BUYERS = 50


@dataclass(frozen=True)
class Holdout:
    """What the calibration forecast of the holdout, and what happened, over the customers known by then.

    ``mae`` is of the forecast medians of single customers, ``rmse`` and ``correlation`` are of the means: each error
    is that of the point forecast which makes it least (Gneiting 2011, *JASA* 106).
    """

    customers: int
    actual: float
    mean: float
    low: float
    high: float
    mae: float
    rmse: float
    correlation: float
    coverage: float
    interval: float

    @property
    def bias(self) -> float:
        """Forecast over actual purchases, less one."""
        return self.mean / self.actual - 1.0 if self.actual else float("nan")

    @property
    def inside(self) -> bool:
        """Whether the actual total lies in the forecast interval."""
        return self.low <= self.actual <= self.high

    def as_dict(self) -> dict[str, float]:
        """Return the figures as a plain dictionary, with the bias."""
        return asdict(self) | {"bias": self.bias}


@dataclass(frozen=True)
class Check:
    """One check of the model on one unit: its name, the outcome, and a sentence for the reader."""

    name: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What the checks add up to: ``sound``, ``caution`` or ``withheld``, with the reasons in words."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> str:
        """The worst outcome decides."""
        outcomes = {c.outcome for c in self.checks}
        return "withheld" if "fail" in outcomes else "caution" if "warn" in outcomes else "sound"

    @property
    def reasons(self) -> list[str]:
        """Sentences of the checks that did not pass, failures first."""
        order = {"fail": 0, "warn": 1}
        return [c.sentence for c in sorted(self.checks, key=lambda c: order.get(c.outcome, 2)) if c.outcome != "pass"]


def score_holdout(prediction: Prediction) -> Holdout:
    """Compare a calibration's prediction of the holdout with what happened.

    Parameters
    ----------
    prediction : Prediction
        Of rows that carry ``holdout_frequency``.
    """
    rows = prediction.rows
    weights = rows["customers"].to_numpy(dtype=float)
    actual, mean = rows["holdout_frequency"].to_numpy(dtype=float), rows["purchases"].to_numpy()
    inside = (actual >= rows["purchases_low"]) & (actual <= rows["purchases_high"])
    total = prediction.total("purchases")
    return Holdout(
        customers=int(weights.sum()),
        actual=float(weights @ actual),
        **total,
        mae=float(np.average(np.abs(actual - rows["purchases_median"].to_numpy()), weights=weights)),
        rmse=float(np.sqrt(np.average((actual - mean) ** 2, weights=weights))),
        correlation=_correlation(actual, mean, weights),
        coverage=float(np.average(inside, weights=weights)),
        interval=prediction.interval,
    )


#: Lower ends of the classes of frequency in which a calibration is compared with its holdout.
FREQUENCY_CLASSES = (0, 1, 2, 3, 4, 6, 9, 14, 24, 49, 99)


def compare_by_frequency(prediction: Prediction) -> pd.DataFrame:
    """Compare forecast and actual holdout purchases of customers alike in frequency.

    Parameters
    ----------
    prediction : Prediction
        Of rows that carry ``holdout_frequency``.

    Returns
    -------
    DataFrame
        ``frequency`` (class of repeat purchases in the calibration, as text), ``customers``, ``actual`` and
        ``expected`` (purchases per customer in the holdout), in the order of the classes.
    """
    rows = prediction.rows
    classes = pd.Series(classify_frequency(rows["frequency"]), index=rows.index)
    weights = rows["customers"].astype(float)
    sums = (
        pd.DataFrame(
            {
                "customers": weights,
                "actual": weights * rows["holdout_frequency"],
                "expected": weights * rows["purchases"],
            }
        )
        .groupby(classes)
        .sum()
    )
    table = sums[["actual", "expected"]].div(sums["customers"], axis=0).assign(customers=sums["customers"].astype(int))
    table.insert(0, "frequency", [class_names()[i] for i in table.index])
    return table.reset_index(drop=True)[["frequency", "customers", "actual", "expected"]]


def class_names() -> list[str]:
    """Names of the classes of frequency, such as ``0``, ``4–5`` and ``99 or more``."""
    edges = [*FREQUENCY_CLASSES, np.inf]
    pairs = zip(edges, edges[1:], strict=False)
    return [f"{a}" if b - a == 1 else f"{a}–{b - 1:.0f}" if np.isfinite(b) else f"{a} or more" for a, b in pairs]


def classify_frequency(frequency: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Class (place in `class_names`) of each frequency."""
    return np.searchsorted(FREQUENCY_CLASSES, np.asarray(frequency), side="right") - 1


def judge(
    purchase: Diagnostics,
    spend: Diagnostics | None,
    regularity: Regularity | None,
    holdout: Holdout | None,
    repeat_buyers: int,
    *further: Check,
    stages: int = 1,
    opportunity: str | None = None,
) -> Verdict:
    """Weigh the checks of one unit.

    Parameters
    ----------
    purchase, spend : Diagnostics
        Convergence of both models; `spend` is None where the price never varies.
    regularity : Regularity, optional
        Timing of the purchases; None when there are too few to tell.
    holdout : Holdout, optional
        None when the history is too short to hold anything out.
    repeat_buyers : int
        Customers with a repeat purchase.
    further : Check
        Other checks.
    stages : int
        Erlang shape that the purchase model reckons with; 1 is random timing.
    opportunity : str, optional
        Period in which a customer can buy once, where the unit counts these.
    """
    checks = [_check_convergence("purchase model", purchase)]
    if spend is not None:
        checks.append(_check_convergence("spend model", spend))
    timed = _pass_timing(opportunity) if opportunity else _check_timing(regularity, stages)
    checks += [timed, *_check_holdout(holdout), _check_repeat_buyers(repeat_buyers)]
    return Verdict((*checks, *further))


def track(
    customers: pd.DataFrame, draws: Mapping[str, Draws], starts: npt.NDArray[np.float64], times: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Return the expected cumulative repeat purchases of all customers by time, for a tracking plot.

    Parameters
    ----------
    customers : DataFrame
        ``customers`` of each ``pattern`` who first bought at each of `starts`.
    draws : mapping of str to Draws
        Posterior draws of each pattern; about 50 are enough.
    starts : array, shape (draws, cohorts)
        Operational time of the first purchases, in each draw.
    times : array, shape (draws, times)
        Operational times at which to evaluate, on the same clock.

    Returns
    -------
    DataFrame
        ``mean``, ``low``, ``high`` (90% interval of the expectation).
    """
    paths = np.zeros(times.shape)
    for pattern, places in customers.groupby("pattern").indices.items():
        weights = customers["customers"].to_numpy(dtype=float)[places]
        for i, parameters in enumerate(zip(*draws[pattern].values, strict=True)):
            ages = np.clip(times[i][:, None] - starts[i, places][None, :], 0.0, None)
            grid = ages.max() * np.linspace(0.0, 1.0, 61) ** 2  # finer where the curve bends: at young ages
            curve = draws[pattern].family.expected_since_start(grid, *parameters)
            paths[i] += np.interp(ages, grid, curve) @ weights
    low, high = np.quantile(paths, [0.05, 0.95], axis=0)
    return pd.DataFrame({"mean": paths.mean(axis=0), "low": low, "high": high})


def _check_convergence(name: str, diagnostics: Diagnostics) -> Check:
    sentence = diagnostics.sentence()
    told = f"{sentence[0].lower()}{sentence[1:]}"
    if diagnostics.passed:
        figures = told.rstrip(".")
        return Check(f"convergence of the {name}", "pass", f"The {name} could be computed reliably ({figures}).")
    return Check(
        f"convergence of the {name}",
        "fail",
        f"The {name} could not be computed reliably, so its numbers are not to be used: {told}",
    )


def _pass_timing(opportunity: str) -> Check:
    sentence = f"Purchases are counted by the {opportunity}, so their timing within it plays no part."
    return Check("timing of purchases", "pass", sentence)


def _check_timing(regularity: Regularity | None, stages: int) -> Check:
    name = "timing of purchases"
    if regularity is None:
        return Check(
            name, "pass", "Too few customers bought three times or more to test the timing of their purchases."
        )
    rhythm = regularity.k > stages
    measured = (
        f"Measured is an Erlang shape of {regularity.k:.2f} (90% interval {regularity.low:.2f} to "
        f"{regularity.high:.2f}), where 1 is random timing."
    )
    if stages > 1:
        measured += f" The model has {stages}."
    least, most = regularity.low / stages, regularity.high / stages
    if least > REGULARITY_FAIL[1] or most < REGULARITY_FAIL[0]:
        found = "by a rhythm, far more regularly" if rhythm else "in bursts, far more in clusters"
        return Check(
            name,
            "fail",
            f"Customers buy {found} than the model assumes. It then misreads silence, so who is still a customer, and "
            f"what the customers are worth, cannot be concluded from it. {measured}",
        )
    warn = REGULARITY_WARN if stages == 1 else REGULARITY_WARN_RHYTHM
    if least > warn[1] or most < warn[0]:
        found = "somewhat more regularly" if rhythm else "somewhat more in clusters"
        return Check(
            name,
            "warn",
            f"Customers buy {found} than the model assumes, so whether a single customer is still one is less certain "
            f"than stated. {measured}",
        )
    if stages == 1:
        return Check(name, "pass", f"Purchases are timed nearly at random, as the model assumes. {measured}")
    return Check(
        name,
        "pass",
        "Customers buy by a rhythm, far more regularly than the BG/NBD assumes, so its forecast is withheld; the one "
        f"shown is of a model that reckons with the rhythm. {measured}",
    )


def _check_holdout(holdout: Holdout | None) -> list[Check]:
    if holdout is None:
        return [
            Check("holdout", "warn", "The history is too short to hold out a part of it, so the forecast is untested.")
        ]
    total = (
        f"forecast {holdout.mean:,.0f} purchases in the holdout ({holdout.interval:.0%} interval {holdout.low:,.0f} to "
        f"{holdout.high:,.0f}); "
    )
    if holdout.actual:
        size = f"{abs(holdout.bias):.0%}"
        total += f"{holdout.actual:,.0f} happened, "
        side = "high" if holdout.bias > 0 else "low"
        total += "nearly as forecast" if size == "0%" else f"so the forecast was {size} too {side}"
    else:
        total += "none happened"
    if holdout.inside:
        first = Check("holdout total", "pass", f"The model {total}, within its interval.")
    elif abs(holdout.bias) <= BIAS_LIMIT:
        first = Check(
            "holdout total", "warn", f"The model {total}, outside its interval: totals are less certain than stated."
        )
    else:
        first = Check("holdout total", "fail", f"The model {total}: totals cannot be relied on.")
    short = holdout.interval - holdout.coverage
    outcome: Outcome = "fail" if short > COVERAGE_FAIL else "warn" if short > COVERAGE_WARN else "pass"
    sentence = (
        f"Of the customers, {holdout.coverage:.0%} bought as often in the holdout as their {holdout.interval:.0%} "
        "intervals said."
    )
    return [first, Check("holdout intervals of customers", outcome, sentence)]


def _check_repeat_buyers(count: int) -> Check:
    if count >= FEW_REPEAT_BUYERS:
        return Check("repeat buyers", "pass", f"{count:,} customers bought again.")
    if count == 0:
        return Check(
            "repeat buyers", "fail", "No customer bought again, so nothing in the unit's own data tells how often its "
            "customers buy.",
        )  # fmt: skip
    return Check(
        "repeat buyers", "warn", f"Only {count:,} customers bought again, so the forecast rests largely on what the "
        "other units tell.",
    )  # fmt: skip


def _correlation(actual: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> float:
    covariance = np.cov(actual, mean, aweights=weights, ddof=0)
    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / scale) if scale > 0 else float("nan")
