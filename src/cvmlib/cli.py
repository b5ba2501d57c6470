"""The command line: ``cvm check``, ``cvm demo``, ``cvm reports``, ``cvm page``, ``cvm score`` and ``cvm rerun``.

A mistake that the user can put right is told without a traceback. Exit codes: 2 the portfolio file, 3 the tables,
4 a model, 1 a notebook.
"""

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cvmlib import environment
from cvmlib.errors import ConfigError, CvmError, DataError, UnfitModelError

app = typer.Typer(
    help="Customer value per business unit, from tables to reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Config = Annotated[Path, typer.Option(help="The portfolio file.")]
CONFIG = Path("business_units.toml")
EXIT_CODES = {"config": 2, "data": 3, "model": 4, "notebook": 1}


@app.command()
def check(config: Config = CONFIG) -> None:
    """Check the tables of every business unit and list all problems."""
    with _readable_errors():
        from cvmlib.portfolio import read_portfolio
        from cvmlib.reporting.demo import prepare_demo
        from cvmlib.reporting.progress import Progress
        from cvmlib.tables.checks import check_unit
        from cvmlib.tables.problems import format_report

        portfolio = read_portfolio(config)
        with Progress() as progress:
            prepare_demo(portfolio, progress)
        found = [check_unit(portfolio, unit) for unit in portfolio.units]
        typer.echo("\n\n".join(format_report(report) for report in found))
    if any(report.fatal for report in found):
        raise typer.Exit(EXIT_CODES["data"])


@app.command()
def demo(
    config: Config = CONFIG,
    scale: Annotated[float | None, typer.Option(help="Size of the company; 1 is its usual size.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    years: Annotated[int | None, typer.Option(help="Whole years of history.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to write, instead of the portfolio's source.")] = None,
) -> None:
    """Simulate the tables of the demo company, unless they are there."""
    with _readable_errors():
        from cvmlib.portfolio import read_portfolio
        from cvmlib.reporting.demo import simulate_demo
        from cvmlib.reporting.progress import Progress

        portfolio = read_portfolio(config)
        if portfolio.demo is None:
            raise ConfigError(f"{config} has no [demo] table: its tables are not those of the demo company.")
        given = {"scale": scale, "seed": seed, "years": years}
        settings = portfolio.demo.model_copy(update={name: value for name, value in given.items() if value is not None})
        with Progress() as progress:
            place, simulated = simulate_demo(portfolio, settings, progress, folder)
        typer.echo(f"{'Simulated the demo company in' if simulated else 'The demo company is up to date in'} {place}")


@app.command()
def reports(
    config: Config = CONFIG,
    jobs: Annotated[int, typer.Option(help="Notebooks to run at a time; 0: one per processor.")] = 0,
    only: Annotated[str, typer.Option(help="Build the pages of this business unit only.")] = "",
    force: Annotated[bool, typer.Option(help="Build them even if they are up to date.")] = False,
) -> None:
    """Build the reports, as far as their inputs have changed."""
    with _readable_errors():
        from cvmlib.portfolio import read_portfolio
        from cvmlib.reporting.build import build_reports
        from cvmlib.reporting.progress import Progress

        result = build_reports(read_portfolio(config), jobs, only, force, Progress())
        for failure in result.failures:
            typer.echo(f"\n{failure.message}", err=True)
        pages = "page" if len(result.written) == 1 else "pages"
        nothing = "No page written" if result.failures else "Nothing has changed"
        done = f"{len(result.written)} {pages} written" if result.written else nothing
        typer.echo(f"{done}. Open {result.index}", err=True)
    if result.failures:
        raise typer.Exit(max(EXIT_CODES[failure.kind] for failure in result.failures))


@app.command()
def page(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")],
    given: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of it, NAME=VALUE; may be repeated.")
    ] = None,
) -> None:
    """Run one notebook, such as those in examples/, and write its page into reports/."""
    with _readable_errors():
        from cvmlib.reporting.run import Failure
        from cvmlib.reporting.single_page import build_page

        parts = [text.partition("=") for text in given or []]
        if wrong := [name for name, equals, _ in parts if not equals]:
            raise ConfigError(f"--set {wrong[0]} is not of the form NAME=VALUE.")
        found = build_page(notebook, environment.checkout() or Path.cwd(), {name: value for name, _, value in parts})
        if isinstance(found, Failure):
            typer.echo(found.message, err=True)
            raise typer.Exit(EXIT_CODES[found.kind])
        typer.echo(f"Open {found}", err=True)


@app.command()
def score(
    events: Annotated[str, typer.Argument(help="CSV, JSON lines or Parquet; - for a stream of lines.")] = "-",
    unit: Annotated[str, typer.Option(help="The business unit; may be left out where there is one only.")] = "",
    config: Config = CONFIG,
    output: Annotated[Path | None, typer.Option(help="Where to write, instead of lines to the output.")] = None,
    keep_going: Annotated[bool, typer.Option(help="Tell of events that cannot be scored, and go on.")] = False,
) -> None:
    """Score customers, or events as they come, from the saved posterior of a unit."""
    with _readable_errors():
        import sys

        from cvmlib.decisions.score_file import read_events, score_events, write_scores
        from cvmlib.decisions.scorer import Scorer
        from cvmlib.portfolio import read_portfolio

        portfolio = read_portfolio(config)
        name = unit or (next(iter(portfolio.units)) if len(portfolio.units) == 1 else "")
        if name not in portfolio.units:
            found = f"There is no unit {name!r}." if name else "Which unit is not said; give --unit."
            raise ConfigError(f"{found} The units are {', '.join(portfolio.units)}.")
        scorer = Scorer(portfolio, name, foresee=events == "-")
        rows = read_events(sys.stdin if events == "-" else Path(events))
        count = write_scores(score_events(scorer, rows, keep_going), output or sys.stdout)
        if output:
            typer.echo(f"{count:,} scores written to {output}", err=True)


@app.command()
def rerun(
    as_of: Annotated[datetime.datetime, typer.Option(formats=["%Y-%m-%d"], help="Day to go back to.")],
    every: Annotated[str, typer.Option(help="Go back to every month, quarter or year from then on.")] = "",
    unit: Annotated[str, typer.Option(help="This business unit only.")] = "",
    config: Config = CONFIG,
    quick: Annotated[bool, typer.Option(help="Only a quick look at the posteriors.")] = False,
) -> None:
    """Forget what came after a day, fit, file the forecasts of that day, and hold them against what happened."""
    with _readable_errors():
        from cvmlib.decisions.track_record import score_record, settle
        from cvmlib.decisions.track_run import last_day, list_dates, replay
        from cvmlib.portfolio import read_portfolio

        portfolio = read_portfolio(config)
        if unit and unit not in portfolio.units:
            raise ConfigError(f"There is no unit {unit!r}. The units are {', '.join(portfolio.units)}.")
        for name in [unit] if unit else list(portfolio.units):
            dates = list_dates(as_of.date(), last_day(portfolio, name), every)
            replay(portfolio, dates, [name], quick)
            record = settle(portfolio, name)
            done = score_record(record.settled.assign(unit=name), "unit")
            known = f", {done['coverage'].iloc[0]:.0%} of their outcomes within range" if len(done) else ""
            typer.echo(
                f"{record.label}: {len(record.settled)} forecasts settled{known}, {len(record.open)} open", err=True
            )


@contextlib.contextmanager
def _readable_errors() -> Iterator[None]:
    """Prepare the tools' caches; print the message of a `CvmError` and leave with its exit code."""
    environment.prepare()
    try:
        yield
    except CvmError as error:
        codes = {ConfigError: "config", DataError: "data", UnfitModelError: "model"}
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CODES[codes.get(type(error), "notebook")]) from None
