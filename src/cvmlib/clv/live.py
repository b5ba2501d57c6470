"""A saved posterior that values counts on any day: what scores customers between two fits, by the code of the fit.

`save_live` keeps of a study just what the means of `cvmlib.clv.value.predict` are taken over: the same draws, the same
calendar, the same terms. So a customer valued at the end of observation has the value of the study, to the last digits,
and later on he has the value that a study with the same posterior would give him.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from cvmlib.clv.ahead import Ahead, Outlook, month_edges
from cvmlib.clv.calendar import Calendar
from cvmlib.clv.expectation import Alike, Expectations, expect, group_alike
from cvmlib.clv.families.registry import FAMILIES
from cvmlib.clv.prepare import UnitBase, unit_folder
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.study import Models, look_ahead, state_terms
from cvmlib.clv.terms import Terms
from cvmlib.clv.value import count_mean_draws
from cvmlib.errors import UnfitModelError
from cvmlib.periods import PER_YEAR
from cvmlib.portfolio import Portfolio

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Live:
    """The saved posterior of one non-contractual unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    purchases : mapping of str to Draws
        Draws of each pattern over which its means are taken.
    spend : Draws
        Draws of the spend model, as many as the longest of `purchases`.
    calendar : Calendar
        With a path for each of those draws.
    terms : Terms
        Margin, returns, costs, discounting.
    now : Timestamp
        Start of the last period observed.
    months : int
        Horizon.
    time_unit : str
        Resolution of counting.
    """

    unit: str
    purchases: Mapping[str, PurchaseDraws]
    spend: SpendDraws
    calendar: Calendar
    terms: Terms
    now: pd.Timestamp
    months: int
    time_unit: str

    @property
    def opportunities_per_year(self) -> float | None:
        """Opportunities in a year, where the model counts these; None where it measures time."""
        family = next(iter(self.purchases.values())).family
        return None if family.measures_time else PER_YEAR[self.time_unit]

    def on(self, day: pd.Timestamp) -> "Live":
        """Return the posterior as it looks ahead from the period that starts at `day`."""
        later = (pd.Timestamp(day) - self.now) / pd.Timedelta(days=1)
        return replace(self, now=pd.Timestamp(day), calendar=replace(self.calendar, now=self.calendar.now + later))

    def days(self, length: float | None = None) -> Array:
        """Edges of the windows ahead: the months of the horizon, or one window of `length` days."""
        if length is not None:
            return np.array([0.0, length])
        return month_edges(self.now, self.now + pd.DateOffset(months=self.months))

    def outlook(self, pattern: str, days: Array) -> Outlook:
        """Return the draws for what is ahead of customers of a pattern.

        Raises
        ------
        ValueError
            The posterior knows no such pattern.
        """
        if pattern not in self.purchases:
            known = ", ".join(map(repr, self.purchases))
            raise ValueError(f"found pattern {pattern!r}; the posterior of {self.unit} knows {known}")
        purchase = self.purchases[pattern]
        count = len(purchase)
        spend = SpendDraws(*(values[:count] for values in (self.spend.p, self.spend.q, self.spend.gamma)))
        paths = replace(self.calendar, paths=self.calendar.paths[:count])
        return Outlook(purchase, spend, Ahead(paths.ahead(days, count), days))

    def expect(self, pattern: str, rows: pd.DataFrame, days: Array | None = None) -> tuple[Alike, Expectations]:
        """Take the means over the draws for customers of one pattern.

        Parameters
        ----------
        pattern : str
            Levels of the covariates, as in the counts.
        rows : DataFrame
            ``frequency``, ``recency``, ``T`` (calendar days).
        days : array, optional
            Edges of the windows ahead; by default those of the horizon.
        """
        alike = group_alike(self.calendar.convert(rows))
        outlook = self.outlook(pattern, self.days() if days is None else days)
        return alike, expect(alike, outlook, self.terms.discount_per_day)


def value_rows(live: Live, rows: pd.DataFrame, length: float | None = None) -> pd.DataFrame:
    """Value count rows on the day of `live`.

    Parameters
    ----------
    live : Live
        The posterior, see `Live.on`.
    rows : DataFrame
        ``pattern``, ``frequency``, ``recency``, ``T`` (calendar days), ``monetary_value`` (money).
    length : float, optional
        Days ahead; by default the horizon.

    Returns
    -------
    DataFrame
        p_alive, purchases, spend (money per purchase), value (discounted margin, money), in the order of `rows`.
    """
    found = np.empty((4, len(rows)))
    for pattern, places in rows.groupby("pattern").indices.items():
        mine = rows.iloc[places]
        alike, means = live.expect(str(pattern), mine, live.days(length))
        z, of_row = mine["monetary_value"].to_numpy(dtype=float), alike.of_row
        spend = means.spend[0][of_row] + means.spend[1][of_row] * z
        found[:, places] = [means.p_alive[of_row], means.purchases[of_row], spend, means.value(live.terms, of_row, z)]
    return pd.DataFrame(dict(zip(("p_alive", "purchases", "spend", "value"), found, strict=True)), index=rows.index)


def take_live(portfolio: Portfolio, base: UnitBase, models: Models) -> Live:
    """Take from a study what its means are taken over.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    base : UnitBase
        The unit.
    models : Models
        Fitted to the whole history.
    """
    name, rows = base.unit.name, models.calendars[base.unit.name].convert(base.count_rows(spend=True))
    outlook, purchases = look_ahead(portfolio, base, models)
    numbered = Ahead(np.column_stack([np.zeros(len(outlook)), 1.0 + np.arange(len(outlook))]), np.array([0.0, 1.0]))
    order = Outlook(outlook.purchase, None, numbered).spread(len(outlook)).ahead.edges[:, 1].astype(int) - 1
    calendar = models.calendars[name]
    chosen = np.linspace(0, len(calendar.paths) - 1, len(outlook)).round().astype(int)[order]
    kept = {}
    for pattern, mine in rows.groupby("pattern"):
        first = order[: count_mean_draws(len(group_alike(mine)))]
        purchase = purchases[pattern]
        kept[str(pattern)] = PurchaseDraws(purchase.family, tuple(values[first] for values in purchase.values))
    spend = SpendDraws(*(values[order] for values in (outlook.spend.p, outlook.spend.q, outlook.spend.gamma)))
    calendar = replace(calendar, paths=calendar.paths[chosen])
    terms = state_terms(portfolio, base)
    return Live(name, kept, spend, calendar, terms, base.now, portfolio.horizon_months, base.time_unit)


def live_path(portfolio: Portfolio, unit: str) -> Path:
    """File of the saved posterior of a unit."""
    return unit_folder(portfolio, unit) / "live.nc"


def save_live(portfolio: Portfolio, base: UnitBase, models: Models) -> Path:
    """Save what `take_live` takes in the unit's folder; return the file."""
    return write_live(take_live(portfolio, base, models), live_path(portfolio, base.unit.name))


def write_live(live: Live, path: Path) -> Path:
    """Write a posterior as netCDF; return the file."""
    family, calendar = next(iter(live.purchases.values())).family, live.calendar
    arrays = {
        f"values_{place}": (("symbol", f"draw_{place}"), np.array(draws.values, dtype=float))
        for place, draws in enumerate(live.purchases.values())
    }
    arrays |= {name: ("draw", getattr(live.spend, name)) for name in ("p", "q", "gamma")}
    arrays |= {"edges": ("edge", calendar.edges), "fitted": ("bin", calendar.fitted)}
    arrays |= {"paths": (("draw", "bin"), calendar.paths)}
    notes = {"unit": live.unit, "family": family.name, "patterns": list(live.purchases), "now": live.now.isoformat()}
    notes |= {"months": live.months, "time_unit": live.time_unit, "calendar_now": calendar.now}
    notes |= {"calendar_plain": int(calendar.plain)} | {f"terms_{k}": v for k, v in asdict(live.terms).items()}
    partial = path.with_suffix(".partial")
    xr.Dataset(arrays, attrs=notes).to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)
    return path


def load_live(portfolio: Portfolio, unit: str) -> Live:
    """Load what `save_live` saved.

    Raises
    ------
    UnfitModelError
        The unit has not been fitted yet.
    """
    path = live_path(portfolio, unit)
    if not path.is_file():
        raise UnfitModelError(
            f"{unit} has no saved posterior to score with. Run notebooks/models/clv.ipynb or `make reports`."
        )
    with xr.open_dataset(path, engine="h5netcdf") as saved:
        data, notes = saved.load(), saved.attrs
    family, patterns = FAMILIES[notes["family"]], [str(one) for one in np.atleast_1d(notes["patterns"])]
    purchases = {}
    for place, pattern in enumerate(patterns):
        values = tuple(np.ascontiguousarray(row) for row in data[f"values_{place}"].to_numpy())
        if family.constant:
            values = (*values[:-1], values[-1].astype(np.int64))
        purchases[pattern] = PurchaseDraws(family, values)
    edges, fitted, paths = (data[name].to_numpy() for name in ("edges", "fitted", "paths"))
    nothing = np.zeros(len(fitted))
    scales = {} if notes["calendar_plain"] else {"saved": nothing}
    calendar = Calendar(float(notes["calendar_now"]), edges, fitted, paths, scales, nothing, nothing)
    terms = Terms(**{name: float(notes[f"terms_{name}"]) for name in Terms.__dataclass_fields__})
    spend = SpendDraws(*(data[name].to_numpy() for name in ("p", "q", "gamma")))
    now = pd.Timestamp(notes["now"])
    return Live(unit, purchases, spend, calendar, terms, now, int(notes["months"]), str(notes["time_unit"]))
