"""What each program is asked to bring back: margin per unit of cost, from the portfolio file."""

import pandas as pd

from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio


def add_hurdles(portfolio: Portfolio, unit: str, programs: pd.DataFrame, instead: float | None = None) -> pd.DataFrame:
    """Add to a unit's programs the margin asked for per unit of cost (``hurdle``); 1 is breaking even.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio: `hurdle_return` of the unit, `hurdle_returns` of single programs.
    unit : str
        Name of the unit.
    programs : DataFrame
        One row per program, with program_id.
    instead : float, optional
        Margin asked for per unit of cost of every program, whatever the portfolio file says.

    Raises
    ------
    ConfigError
        When the portfolio file names a program that the unit does not have.
    """
    asked = portfolio.units[unit].programs
    known = programs["program_id"].astype(str)
    if unknown := sorted(set(asked.hurdle_returns) - set(known)):
        raise ConfigError(
            f"units.{unit}.programs.hurdle_returns: found {', '.join(unknown)}, which no row of programs has as its "
            f"program_id; the programs are {', '.join(sorted(known))}."
        )
    hurdle = 1.0 + known.map(asked.hurdle_returns).astype(float).fillna(asked.hurdle_return)
    return programs.assign(hurdle=hurdle if instead is None else float(instead))
