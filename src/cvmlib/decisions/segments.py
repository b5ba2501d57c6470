"""Type and tier of one customer after each event, by the posteriors and criteria of the study of all parts of value.

Nothing is drawn: the nodes of `cvmlib.decisions.latent` are those of the batch, so that both say the same. Nodes of a
buyer's rate depend on his counts alone and are laid out when a day begins; what an event costs is one evaluation of the
distribution of his spend on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.clv.live import Live
from cvmlib.decisions.latent import infer_unit_rates
from cvmlib.decisions.tiers import Tiers
from cvmlib.decisions.types import TYPES, Lines
from cvmlib.decisions.value_results import has_parts, load_parts
from cvmlib.portfolio import Portfolio

Array = npt.NDArray[np.float64]
Segment = dict[str, str | float]

NONE: Segment = {"type": "", "type_probability": 0.0, "tier": "", "tier_probability": 0.0}
"""Of who is in no segment: a subscriber who left, and everybody until the study has been run."""

_ROWS = 20_000  # counts whose nodes are laid out at once
_NEGLIGIBLE = 1e-14  # probability of a node that is left out


@dataclass(frozen=True)
class Criteria:
    """What types and tiers go by, as the study found it.

    Parameters
    ----------
    lines, tiers : Lines, Tiers
        Lines of the types; tiers, the best first.
    """

    lines: Lines
    tiers: Tiers


@dataclass(frozen=True)
class Nodes:
    """What the counts of a buyer say of his rate.

    Parameters
    ----------
    often : float
        Probability that he still comes, more often than the line.
    slowness : array, shape (nodes,)
        Years per purchase while a customer.
    there : array, shape (nodes,)
        Probability of each node, and that he still comes.
    gone : float
        Probability that he does not.
    """

    often: float
    slowness: Array
    there: Array
    gone: float


def read_criteria(portfolio: Portfolio, unit: str) -> Criteria | None:
    """Read what the types and tiers of a unit go by; None until the parts of value have been worked out."""
    if not has_parts(portfolio, unit):
        return None
    found = load_parts(portfolio, unit)
    table = found.tables["tiers"]
    if found.withheld or table.empty:
        return None
    lines = Lines(**found.totals["lines"])
    low, high = (tuple(float(end) for end in table[name]) for name in ("low", "high"))
    return Criteria(lines, Tiers(tuple(table["tier"]), low, high, found.totals["tiers_stated"]))


class BuyerSegments:
    """Segments of the buyers of one unit.

    Parameters
    ----------
    live : Live
        The unit's saved posterior.
    criteria : Criteria
        From `read_criteria`.
    """

    def __init__(self, live: Live, criteria: Criteria) -> None:
        self._criteria, terms = criteria, live.terms
        self._p, self._q, self._gamma = (float(getattr(live.spend, name).mean()) for name in ("p", "q", "gamma"))
        self._enough = (criteria.lines.margin + terms.per_transaction) / terms.kept
        self._cuts = criteria.tiers.cuts
        self._year = ((self._cuts + terms.per_customer_year) / terms.kept)[:, None]
        self._each = terms.per_transaction / terms.kept
        self._lost, self._places = self._cuts > 0, criteria.tiers.of_bins()

    def lay_out(self, live: Live, counts: pd.DataFrame) -> Iterator[Nodes]:
        """Lay out the nodes of count rows, in their order.

        Parameters
        ----------
        live : Live
            The posterior on the day of scoring.
        counts : DataFrame
            ``pattern``, ``frequency``, ``recency``, ``T`` (calendar days).
        """
        for start in range(0, len(counts), _ROWS):
            rates = infer_unit_rates(live, counts.iloc[start : start + _ROWS])
            often = rates.chance_above(self._criteria.lines.often)
            there, slowness = rates.weight * rates.alive, 1 / np.maximum(rates.rate, 1e-12)
            gone = (rates.weight * (1 - rates.alive)).sum(axis=1)
            kept = there > _NEGLIGIBLE
            for place, some in enumerate(kept):
                yield Nodes(float(often[place]), slowness[place, some], there[place, some], float(gone[place]))

    def assign(self, nodes: Nodes, frequency: int, monetary_value: float) -> Segment:
        """Likeliest type and tier of a buyer, with their probabilities.

        Parameters
        ----------
        nodes : Nodes
            Of his counts.
        frequency : int
            Repeat purchases.
        monetary_value : float
            Their mean value (money).
        """
        shape, rate = self._q + self._p * frequency, self._p * (self._gamma + frequency * monetary_value)
        high = 1 - float(special.gammaincc(shape, rate / self._enough)) if self._enough > 0 else 1.0
        types = _cross(high, nodes.often)
        needed = self._year * nodes.slowness + self._each
        needed = np.maximum(needed, 1e-300)  # nothing is needed: no mean spend is below it
        below = special.gammaincc(shape, rate / needed) @ nodes.there + nodes.gone * self._lost
        return name_segment(types, self._fold(below.tolist()), self._criteria.tiers)

    def _fold(self, below: list[float]) -> list[float]:
        """Probabilities of the tiers from those of a margin a year below each cut."""
        found, last = [0.0] * len(self._criteria.tiers.names), 0.0
        for place, chance in zip(self._places, [*below, 1.0], strict=True):
            found[place] += min(max(chance - last, 0.0), 1.0)
            last = chance
        return [chance / total for chance in found] if (total := sum(found)) else found


def segment_subscriber(criteria: Criteria, monthly: float, stays: float) -> Segment:
    """Type and tier of a subscriber, with their probabilities.

    Parameters
    ----------
    criteria : Criteria
        From `read_criteria`.
    monthly : float
        Margin of all his subscriptions (money per month).
    stays : float
        Probability that he stays through the horizon.
    """
    tiers = criteria.tiers
    place = int(tiers.place(np.array([round(12 * monthly, 9)]))[0])
    types = _cross(float(round(monthly, 9) >= criteria.lines.margin), stays)
    return name_segment(types, [float(number == place) for number in range(len(tiers.names))], tiers)


def name_segment(types: list[float], tiers: list[float], names: Tiers) -> Segment:
    """Likeliest type and tier with their probabilities; of equal ones the first."""
    best, top = max(types), max(tiers)
    return {
        "type": TYPES[types.index(best)],
        "type_probability": best,
        "tier": names.names[tiers.index(top)],
        "tier_probability": top,
    }


def _cross(high: float, often: float) -> list[float]:
    """Probabilities of `TYPES` of one customer."""
    return [high * often, high * (1 - often), (1 - high) * often, (1 - high) * (1 - often)]
