"""Buyers between two fits: what is known of each, kept up to date event by event, and valued by the saved posterior.

The means of `cvmlib.clv.value.predict` depend on a buyer through his counts and, linearly, through his mean spend. For
every distinct count they are taken once a day, all at once, so that an event costs a look-up; a count that was not
foreseen is worked out when it comes, by the same code.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import repeat

import pandas as pd

from cvmlib.clv.live import Live, load_live
from cvmlib.clv.prepare import unit_folder
from cvmlib.decisions.segments import NONE, BuyerSegments, Nodes, read_criteria
from cvmlib.decisions.stages import stage_buyers
from cvmlib.errors import ConfigError, DataError
from cvmlib.periods import SECONDS
from cvmlib.portfolio import Portfolio

DAY = SECONDS["day"]
_MONDAY = 4 * DAY  # 1970-01-05


@dataclass
class Buyer:
    """What is known of one buyer: times are seconds since 1970, money is that of his repeat purchases and of all."""

    pattern: str
    first: int
    last: int
    frequency: int
    repeat: float
    total: float

    @property
    def monetary_value(self) -> float:
        """Mean value of the repeat purchases; 0 without any."""
        return max(self.repeat, 0.0) / self.frequency if self.frequency else 0.0


@dataclass(frozen=True)
class _Means:
    """Means of one count: of money, constant and factor of the mean spend."""

    p_alive: float
    purchases: float
    discounted: float
    years: float
    spend: tuple[float, float]
    money: tuple[float, float]
    windows: dict[float, tuple[float, float, float]]
    nodes: Nodes | None


class Buyers:
    """The buyers of one unit on one day.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        A non-contractual unit that has been fitted.
    windows : iterable of float
        Days ahead over which margins are needed for actions.

    Raises
    ------
    ConfigError
        The unit counts opportunities, which are known when they are over.
    """

    def __init__(self, portfolio: Portfolio, unit: str, windows: Iterable[float] = ()) -> None:
        if opportunity := portfolio.units[unit].opportunity:
            raise ConfigError(
                f"units.{unit}.opportunity is {opportunity}: what a customer did counts when that is over, so no event "
                "changes his scores before the next build. Read value.parquet in the unit's folder instead."
            )
        self._fitted, criteria = load_live(portfolio, unit), read_criteria(portfolio, unit)
        self._segments = BuyerSegments(self._fitted, criteria) if criteria else None
        self._windows = tuple(sorted(set(windows)))
        self._known: dict[tuple, _Means] = {}
        self.known = _read_buyers(portfolio, unit)
        self._open(self._fitted)

    @property
    def now(self) -> pd.Timestamp:
        """Start of the period as of which is scored."""
        return self._live.now

    def period(self, seconds: float) -> int:
        """Start of the period that holds a time; both in seconds since 1970."""
        length = SECONDS[self._fitted.time_unit]
        shift = _MONDAY if self._fitted.time_unit == "week" else 0
        return int((seconds - shift) // length) * length + shift

    def open(self, seconds: int, foresee: bool = True) -> None:
        """Go on to a later period; `foresee`: work out at once what everybody would be worth if he bought in it."""
        self._open(self._fitted.on(pd.Timestamp(seconds, unit="s")))
        if foresee:
            self.foresee()

    def foresee(self) -> None:
        """Work out what every buyer is worth as he is, and if he buys in this period."""
        now = self._seconds
        keys = {self._key(one) for one in self.known.values()}
        keys |= {
            (b.pattern, b.frequency + 1, now - b.first, now - b.first) for b in self.known.values() if b.last < now
        }
        self._fill([key for key in keys if key not in self._known])

    def buy(self, name: str, seconds: int, value: float) -> None:
        """Count a purchase, or a return (negative), in the period that starts at `seconds`."""
        buyer = self.known[name]
        if seconds == buyer.last:
            self._net(name, buyer, value)
        elif value >= 0:  # a return in a later period leaves the counts as they are
            buyer.last = seconds
            buyer.frequency += 1
            buyer.repeat = round(buyer.repeat + value, 6)
            buyer.total = round(buyer.total + value, 6)

    def score(self, name: str) -> dict[str, float | str | int]:
        """Scores of one buyer: what the triggers may name, and margins by window."""
        buyer = self.known[name]
        key = self._key(buyer)
        means = self._known.get(key)
        if means is None:
            self._fill([key])
            means = self._known[key]
        z, terms = buyer.monetary_value, self._live.terms
        money = means.money[0] + means.money[1] * z
        costs = terms.per_transaction * means.discounted + terms.per_customer_year * means.years
        stage = stage_buyers(means.p_alive, buyer.frequency, (self._seconds - buyer.first) / DAY)
        return {
            "probability_alive": means.p_alive,
            "value": terms.kept * money - costs,
            "expected_purchases": means.purchases,
            "expected_spend": means.spend[0] + means.spend[1] * z,
            "frequency": buyer.frequency,
            "days_since_last": (self._seconds - buyer.last) / DAY,
            "total_value": buyer.total,
            "stage": str(stage),
            **(self._segments.assign(means.nodes, buyer.frequency, z) if self._segments and means.nodes else NONE),
        }

    def margin(self, name: str, window: float) -> float:
        """Margin that a scored buyer brings untreated within `window` days."""
        buyer, terms = self.known[name], self._live.terms
        discounted, constant, factor = self._known[self._key(buyer)].windows[window]
        return terms.kept * (constant + factor * buyer.monetary_value) - terms.per_transaction * discounted

    def _net(self, name: str, buyer: Buyer, value: float) -> None:
        if buyer.frequency and buyer.repeat + value < 0 or buyer.total + value <= 0:
            raise DataError(
                f"customer {name}: a return of {-value:,.2f} leaves nothing of what was bought in its period, so that "
                "the purchase must be taken back. The next fit does that; leave the event out until then."
            )
        buyer.total = round(buyer.total + value, 6)
        if buyer.frequency:
            buyer.repeat = round(buyer.repeat + value, 6)

    def _open(self, live: Live) -> None:
        self._live, self._seconds = live, int(live.now.timestamp())
        self._known.clear()

    def _key(self, buyer: Buyer) -> tuple:
        return buyer.pattern, buyer.frequency, buyer.last - buyer.first, self._seconds - buyer.first

    def _fill(self, keys: list[tuple]) -> None:
        """Take the means of counts that are not known yet."""
        table = pd.DataFrame(keys, columns=["pattern", "frequency", "recency", "T"])
        table["recency"] /= DAY
        table["T"] /= DAY
        plain = replace(self._live, terms=replace(self._live.terms, per_customer_year=0.0))
        nodes = list(self._segments.lay_out(self._live, table) if self._segments else repeat(None, len(keys)))
        for pattern, places in table.groupby("pattern").indices.items():
            mine = table.iloc[places]
            alike, means = self._live.expect(str(pattern), mine)
            ahead = {window: plain.expect(str(pattern), mine, plain.days(window))[1] for window in self._windows}
            for place, group in zip(places, alike.of_row, strict=True):
                windows = {
                    window: (float(one.discounted[group]), float(one.money[0][group]), float(one.money[1][group]))
                    for window, one in ahead.items()
                }
                single = (means.p_alive, means.purchases, means.discounted, means.years)
                pairs = (tuple(float(part[group]) for part in pair) for pair in (means.spend, means.money))
                means_of = (float(part[group]) for part in single)
                self._known[keys[place]] = _Means(*means_of, *pairs, windows, nodes[place])


def _read_buyers(portfolio: Portfolio, unit: str) -> dict[str, Buyer]:
    columns = ["customer_id", "pattern", "first", "last", "frequency", "monetary_value", "total_value"]
    table = pd.read_parquet(unit_folder(portfolio, unit) / "value.parquet", columns=columns)
    first, last = (
        (pd.to_datetime(table[name]) - pd.Timestamp(0)) // pd.Timedelta(seconds=1) for name in ("first", "last")
    )
    repeat = (table["monetary_value"] * table["frequency"]).round(6)
    rows = zip(table["pattern"], first, last, table["frequency"], repeat, table["total_value"], strict=True)
    buyers = (Buyer(str(p), int(f), int(t), int(x), float(r), float(v)) for p, f, t, x, r, v in rows)
    return dict(zip(table["customer_id"].astype(str), buyers, strict=True))
