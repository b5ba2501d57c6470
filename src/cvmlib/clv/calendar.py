"""Operational time: the calendar of a unit, so that its customers buy by the clock of the model.

Seasons, events and slow shocks move all customers of a unit alike. Where the purchase intensity of a living customer
at time t is ``lambda * c(t)``, replacing every time by the integral of c makes the purchases of the BG family those of
a constant rate again, exactly, because its customers leave at purchases only. A count row needs nothing more for it:
age and recency, with the end of observation, are dates.

The intensity c is estimated from the weekly repeat purchases of a unit over those its customer model expects
(`cvmlib.clv.intensity`), in turns with a quick fit of that model. What a forecast uses are paths of the **future**
intensity: shocks that all customers share do not average out over customers, so a total is only as certain as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from cvmlib.clv.families import bg_cnbd_kernel
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.intensity import Bins, Paths, draw_paths, find_path

Array = npt.NDArray[np.float64]

WEEK = 7.0
#: Bins of a pool altogether; with more, a bin is made of several weeks.
_MOST_BINS = 500
_TURNS, _SEARCHED, _SETTLED = 6, 2, 0.01
_EPOCH = pd.Timestamp("1970-01-01")


@dataclass(frozen=True)
class History:
    """What happened in one unit, by day: the days are counted from 1970-01-01.

    Parameters
    ----------
    now : float
        Start of the last period observed, from which T is counted back.
    days : array, shape (days,)
        Days with a purchase.
    newcomers, repeats : array, shape (days,)
        First purchases and repeat purchases of the day.
    rows : DataFrame
        Count rows of the unit: ``frequency``, ``recency``, ``T`` (days), ``customers``.
    """

    now: float
    days: Array
    newcomers: Array
    repeats: Array
    rows: pd.DataFrame


@dataclass(frozen=True)
class Calendar:
    """The calendar of one unit.

    Parameters
    ----------
    now : float
        Day from which the future is counted.
    edges : array, shape (bins + 1,)
        Days between which the intensity is constant; past and future.
    fitted : array, shape (bins,)
        Posterior mean of the intensity, whose mean over the past purchases of the unit is one.
    paths : array, shape (draws, bins)
        Posterior draws of the intensity.
    scales : dict of str to array
        Posterior draws of the scales of the process, shape (draws,).
    actual, expected : array, shape (bins,)
        Repeat purchases that were made, and that the customer model expects at an intensity of one; zero in the future.
    """

    now: float
    edges: Array
    fitted: Array
    paths: Array
    scales: dict[str, Array]
    actual: Array
    expected: Array

    def elapsed(self, days_ago: Array) -> Array:
        """Return the operational time from `days_ago` until now, of the same shape; in days."""
        return _clock(self.edges, self.fitted, self.now) - _clock(self.edges, self.fitted, self.now - days_ago)

    def convert(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Replace ``recency`` and ``T`` of count rows (days) by operational time."""
        age = rows["T"].to_numpy(dtype=float)
        since_last = age - rows["recency"].to_numpy(dtype=float)
        whole, rest = self.elapsed(age), self.elapsed(since_last)
        return rows.assign(recency=np.where(rows["frequency"] > 0, whole - rest, 0.0), T=whole)

    def sum_log_gaps(self, pairs: pd.DataFrame) -> float:
        """Sum of the logarithms of gaps in operational days; `pairs` are those of `cvmlib.clv.timing.count_pairs`."""
        before, after = (_clock(self.edges, self.fitted, pairs[name].to_numpy(float)) for name in ("before", "after"))
        return float(pairs["gaps"].to_numpy(float) @ np.log(after - before))

    def ahead(self, days: Array, draws: int) -> Array:
        """Operational time from now to each of `days` ahead under `draws` of the paths: shape (draws, days)."""
        chosen = np.linspace(0, len(self.paths) - 1, draws).round().astype(int)
        times = self.now + np.r_[0.0, np.asarray(days, dtype=float)]
        clocks = np.array([_clock(self.edges, path, times) for path in self.paths[chosen]])
        return clocks[:, 1:] - clocks[:, :1]

    def clock(self, days: Array, draws: int) -> Array:
        """Operational time of each of `days` from now (negative: ago) under `draws` of the future: (draws, days).

        The past is as fitted in every draw.
        """
        ago = -self.elapsed(np.maximum(-np.asarray(days, dtype=float), 0.0))
        return ago[None, :] + self.ahead(np.maximum(days, 0.0), draws)

    @property
    def plain(self) -> bool:
        """Whether no effect of the calendar was estimated."""
        return not self.scales

    def table(self, interval: float = 0.9) -> pd.DataFrame:
        """Tabulate the intensity by week.

        Returns
        -------
        DataFrame
            ``date`` (first day), ``actual``, ``expected`` (repeat purchases; zero in the future), ``mean``, ``low``,
            ``high`` (intensity, 1 is usual), ``future``; from the first week in which purchases were expected.
        """
        low, high = np.quantile(self.paths, [0.5 - interval / 2, 0.5 + interval / 2], axis=0)
        frame = pd.DataFrame(
            {
                "date": _EPOCH + pd.to_timedelta(self.edges[:-1], unit="D"),
                "actual": self.actual,
                "expected": self.expected,
                "mean": self.fitted,
                "low": low,
                "high": high,
                "future": self.edges[:-1] > self.now,
            }
        )
        return frame[(frame["expected"].cumsum() > 0) | frame["future"]].reset_index(drop=True)

    def pace(self, days: float, interval: float = 0.9) -> dict[str, float]:
        """Mean intensity over the next `days`, over all customers: keys mean, low, high (1 is usual)."""
        drawn = self.ahead([days], len(self.paths))[:, 0] / days
        low, high = np.quantile(drawn, [0.5 - interval / 2, 0.5 + interval / 2])
        return {"mean": float(drawn.mean()), "low": float(low), "high": float(high)}


def plain_calendar() -> Calendar:
    """Return a calendar without effects: operational time is time."""
    one, nothing = np.ones(1), np.zeros(1)
    return Calendar(0.0, np.array([-1.0, 1.0]), one, one[None], {}, nothing, nothing)


def read_history(purchases: ir.Table, rows: pd.DataFrame, now: pd.Timestamp) -> History:
    """Count first and repeat purchases by day, where the tables lie.

    Parameters
    ----------
    purchases : ibis Table
        ``customer_id``, ``period``: result of `cvmlib.clv.counts.count_purchases`.
    rows : DataFrame
        Count rows of the unit at `now`.
    now : Timestamp
        Start of the last period observed.
    """
    seen = purchases.filter(purchases.period <= now)
    first = seen.group_by("customer_id").agg(first=seen.period.min())
    newcomers = first.group_by(period=first["first"].cast("date")).agg(newcomers=first.count())
    bought = seen.group_by(period=seen.period.cast("date")).agg(purchases=seen.count())
    table = bought.left_join(newcomers, "period").order_by("period").to_pandas()
    new = table["newcomers"].fillna(0).to_numpy(dtype=float)
    days = (pd.to_datetime(table["period"]) - _EPOCH) / pd.Timedelta(days=1)
    return History(
        now=(pd.Timestamp(now) - _EPOCH) / pd.Timedelta(days=1),
        days=days.to_numpy(dtype=float),
        newcomers=new,
        repeats=table["purchases"].to_numpy(dtype=float) - new,
        rows=rows,
    )


def estimate_calendars(
    histories: Mapping[str, History],
    horizon: float,
    *,
    pools: Mapping[str, str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Calendar]:
    """Estimate the calendars of all units, those of one pool together.

    Parameters
    ----------
    histories : mapping of str to History
        What happened, by unit.
    horizon : float
        Days ahead for which paths are drawn.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    draws : int
        Paths per unit.
    seed : int
        Seed of the paths.
    """
    groups: dict[str, list[str]] = {}
    for unit in histories:
        groups.setdefault((pools or {}).get(unit, ""), []).append(unit)
    found = {}
    for number, (_, units) in enumerate(sorted(groups.items())):
        rng = np.random.default_rng([seed, number])
        found |= _estimate_pool({unit: histories[unit] for unit in sorted(units)}, horizon, draws, rng)
    return {unit: found[unit] for unit in histories}


def _estimate_pool(
    histories: dict[str, History], horizon: float, draws: int, rng: np.random.Generator
) -> dict[str, Calendar]:
    edges, ahead = _lay_bins(histories, horizon)
    intensity = {unit: np.ones(len(edges) - 1) for unit in histories}
    bins, point = None, None
    for turn in range(_TURNS):
        bins = _count_bins(histories, edges, intensity)
        latent, point = find_path(bins, point, search=turn < _SEARCHED)
        new = {unit: _normalise(np.exp(latent[i]), bins.expected[i]) for i, unit in enumerate(histories)}
        moved = np.abs(np.log([new[unit] / intensity[unit] for unit in histories]))
        intensity = new
        if moved[bins.expected > 0].max(initial=0.0) < _SETTLED:
            break
    paths = draw_paths(bins, 0.5 * (ahead[1:] + ahead[:-1]), draws, rng, point)
    return _finish(histories, bins, edges, ahead, paths)


def _finish(histories: dict[str, History], bins: Bins, edges: Array, ahead: Array, paths: Paths) -> dict[str, Calendar]:
    calendars = {}
    later = np.zeros(len(ahead) - 1)
    for i, (unit, history) in enumerate(histories.items()):
        log_path = np.concatenate([paths.past[:, i], paths.future[:, i]], axis=1)
        weight = np.r_[bins.expected[i], later]
        path = _normalise(np.exp(log_path), weight)
        calendars[unit] = Calendar(
            history.now,
            np.r_[edges, ahead[1:]],
            path.mean(axis=0),
            path,
            paths.scales,
            np.r_[bins.actual[i], later],
            weight,
        )
    return calendars


def _lay_bins(histories: Mapping[str, History], horizon: float) -> tuple[Array, Array]:
    """Edges of past and of future bins, whole weeks around the latest end; a pool of many units gets longer bins."""
    end = max(history.now for history in histories.values()) + 1.0  # the last period counts
    start = min(history.days.min() for history in histories.values())
    weeks = int(np.ceil((end - start) / WEEK))
    length = WEEK * max(1, int(np.ceil(weeks * len(histories) / _MOST_BINS)))
    count = max(int(np.ceil((end - start) / length)), 1)
    return end - length * np.arange(count, -1, -1), end + length * np.arange(int(np.ceil((horizon + 1) / length)) + 1)


def _count_bins(histories: Mapping[str, History], edges: Array, intensity: Mapping[str, Array]) -> Bins:
    """Actual and expected purchases of every unit and bin, the customer model fitted in operational time so far."""
    actual, expected = [], []
    for unit, history in histories.items():
        actual.append(np.histogram(history.days, edges, weights=history.repeats)[0])
        expected.append(_expect(history, edges, intensity[unit]))
    return Bins(0.5 * (edges[1:] + edges[:-1]), np.array(actual), np.array(expected))


def _expect(history: History, edges: Array, intensity: Array) -> Array:
    """Repeat purchases per bin that the customer model expects at an intensity of one."""
    now = Calendar(history.now, edges, intensity, intensity[None], {}, intensity, intensity)
    parameters = _fit_quickly(now.convert(history.rows))
    new = history.newcomers > 0
    clock = _clock(edges, intensity, np.minimum(edges, history.now + 1.0))
    joined = _clock(edges, intensity, history.days[new])
    ages = np.clip(clock[:, None] - joined[None, :], 0.0, None)
    grid = ages.max() * np.linspace(0.0, 1.0, 81) ** 2  # finer where the curve bends: at young ages
    curve = BG_NBD.expected_since_start(grid, *parameters)
    total = np.interp(ages, grid, curve) @ history.newcomers[new]
    return np.where(np.diff(clock) > 0, np.diff(total), 0.0) / intensity


def _fit_quickly(rows: pd.DataFrame) -> tuple[float, ...]:
    """Mode of one unit's BG/NBD under the priors of the family: its published parameters, times in days."""
    weights = rows["customers"].to_numpy(dtype=float)
    age = rows["T"].to_numpy(dtype=float)
    scale = float(np.average(age, weights=weights)) or 1.0
    data = bg_cnbd_kernel.lay_out(
        np.zeros(len(rows), dtype=np.int64),
        rows["frequency"].to_numpy(dtype=np.int64),
        rows["recency"].to_numpy(dtype=float) / scale,
        age / scale,
        weights,
    )
    mean = np.array([p.prior.mean for p in BG_NBD.parameters])
    sd = np.array([np.hypot(p.prior.sd, p.prior.spread) for p in BG_NBD.parameters])

    def natural(z: Array) -> tuple[float, ...]:
        rate, shape, concentration = np.exp(z[[0, 1, 3]])
        dropout = 1.0 / (1.0 + np.exp(-z[2]))
        return BG_NBD.published(rate, shape, dropout, concentration)

    def badness(z: Array) -> tuple[float, Array]:
        r, alpha, a, b = natural(z)
        value, gradient = bg_cnbd_kernel.evaluate(data, *(np.array([v]) for v in (r, alpha, a, b)))
        value, (by_r, by_alpha, by_a, by_b) = float(value), gradient[:, 0]
        chain = [
            -alpha * by_alpha,
            r * by_r + alpha * by_alpha,
            a * b / (a + b) * (by_a - by_b),
            a * by_a + b * by_b,
        ]
        off = (z - mean) / sd
        return 0.5 * float(off @ off) - value, off / sd - np.array(chain)

    bounds = [(m - 6 * s, m + 6 * s) for m, s in zip(mean, sd, strict=True)]
    found = optimize.minimize(badness, mean, jac=True, method="L-BFGS-B", bounds=bounds)
    r, alpha, a, b = natural(found.x)
    return r, alpha * scale, a, b


def _normalise(intensity: Array, expected: Array) -> Array:
    """Divide intensities (..., bins) by their mean over the expected purchases."""
    total = expected.sum()
    return intensity * total / (intensity @ expected)[..., None] if total > 0 else np.ones_like(intensity)


def _clock(edges: Array, intensity: Array, times: Array) -> Array:
    """Operational time at `times`, from the first edge; outside the edges the intensity is one."""
    elapsed = np.r_[0.0, np.cumsum(np.diff(edges) * intensity)]
    inside = np.interp(times, edges, elapsed)
    return inside + np.minimum(np.asarray(times) - edges[0], 0.0) + np.maximum(np.asarray(times) - edges[-1], 0.0)
