"""The demo company's tables, simulated when they are absent or out of date."""

import time
from pathlib import Path

from cvmlib.portfolio import DemoSettings, Portfolio
from cvmlib.reporting.progress import Progress


def prepare_demo(portfolio: Portfolio, progress: Progress) -> None:
    """Simulate the tables of a portfolio that has a ``[demo]`` table, if need be."""
    if portfolio.demo is not None:
        simulate_demo(portfolio, portfolio.demo, progress)


def simulate_demo(
    portfolio: Portfolio, settings: DemoSettings, progress: Progress, folder: Path | None = None
) -> tuple[Path, bool]:
    """Simulate the demo company unless its tables are there and up to date.

    Parameters
    ----------
    portfolio : Portfolio
        Says where the tables belong and when the history ends.
    settings : DemoSettings
        Scale, seed and years.
    progress : Progress
        Who is told.
    folder : pathlib.Path, optional
        Where to write instead of the portfolio's source.

    Returns
    -------
    tuple of pathlib.Path and bool
        Where the tables are, and whether they were simulated now.
    """
    from cvmlib.tables import demo

    place = folder or portfolio.folder / portfolio.source
    arguments = settings.model_dump()
    if portfolio.end_of_observation:
        arguments["end"] = portfolio.end_of_observation
    if demo.is_current(place, **arguments):
        return place, False
    started = time.monotonic()
    progress.say("Simulating the demo company …")
    demo.simulate(place, **arguments, progress=lambda unit, done, total: progress.count(f"Demo: {unit}", done, total))
    progress.say(f"Simulated the demo company {time.monotonic() - started:.1f} s")
    return place, True
