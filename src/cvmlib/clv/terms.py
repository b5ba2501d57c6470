"""What turns purchases into money: margin, discounting, returns and costs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cvmlib.clv.ahead import DAYS_PER_YEAR

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """What turns purchases into money.

    Parameters
    ----------
    discount_rate : float
        Per year, as a fraction.
    margin : float
        Share of the value that is margin.
    returned_share : float
        Share of the money bought that is returned later.
    per_transaction, per_customer_year : float
        Costs in money, per purchase and per year of a living customer.
    interval : float
        Probability of the intervals.
    returned_share_sd : float
        Standard error of `returned_share`.
    returned_noise : float
        Money: variance of the returned money per unit of money bought, at a known share.
    """

    discount_rate: float = 0.0
    margin: float = 1.0
    returned_share: float = 0.0
    per_transaction: float = 0.0
    per_customer_year: float = 0.0
    interval: float = 0.9
    returned_share_sd: float = 0.0
    returned_noise: float = 0.0

    @property
    def discount_per_day(self) -> float:
        """Continuous discount rate per day."""
        return float(np.log1p(self.discount_rate) / DAYS_PER_YEAR)

    @property
    def kept(self) -> float:
        """Margin kept of one unit of money bought, after returns."""
        return self.margin * (1.0 - self.returned_share)

    @property
    def tails(self) -> tuple[float, float]:
        """Probabilities below the ends of the intervals."""
        return (1.0 - self.interval) / 2.0, (1.0 + self.interval) / 2.0

    def draw_kept(self, draws: int, rng: np.random.Generator) -> Array:
        """Draw the margin kept as the share of returns may really be: Normal, kept within 0 and 1; shape (draws,)."""
        if self.returned_share_sd == 0:
            return np.full(draws, self.kept)
        share, sd = self.returned_share, self.returned_share_sd
        drawn = stats.truncnorm.rvs(-share / sd, (1 - share) / sd, share, sd, draws, random_state=rng)
        return self.margin * (1.0 - drawn)
