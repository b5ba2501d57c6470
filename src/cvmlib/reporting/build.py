"""Build the reports of a portfolio: run what has changed, in parallel, then publish the pages and the index."""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import steps
from cvmlib.reporting.demo import prepare_demo
from cvmlib.reporting.fingerprints import FileHashes
from cvmlib.reporting.notebooks import find_notebooks
from cvmlib.reporting.progress import Progress
from cvmlib.reporting.run import Failure
from cvmlib.reporting.steps import Context, Outcome, Step


@dataclass(frozen=True)
class Result:
    """What a build did: the index, what became of each step, the pages written, and all that failed."""

    index: Path
    outcomes: dict[str, Outcome]
    written: tuple[Path, ...]
    failures: tuple[Failure, ...]


def build_reports(
    portfolio: Portfolio, jobs: int = 0, only: str = "", force: bool = False, progress: Progress | None = None
) -> Result:
    """Build what is not up to date, and publish it.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    jobs : int
        Notebooks to run at a time, each in a process of its own; 0 means one per processor, 1 runs them here.
    only : str
        Build the pages of this unit only, with all they need.
    force : bool
        Build them even if they are up to date.
    progress : Progress, optional
        Who is told; nobody by default.

    Returns
    -------
    Result
        Failures are in it, not raised: what could be built has been, and earlier pages are as they were.

    Raises
    ------
    ConfigError
        When `only` is not a unit.
    """
    from cvmlib.reporting import publish

    if only and only not in portfolio.units:
        raise ConfigError(f"There is no unit {only!r}. The units are {', '.join(portfolio.units)}.")
    with progress or Progress(quiet=True) as progress:
        prepare_demo(portfolio, progress)
        context = Context(
            portfolio, find_notebooks(portfolio), FileHashes(portfolio.build_dir / "stamps" / "files.json")
        )
        plan = steps.plan_steps(portfolio, context.notebooks, only)
        progress.expect(len(plan))
        _Schedule(context, plan, jobs or os.cpu_count() or 1, force, progress).run()
        publication = publish.publish(context)
        context.hashes.save()
    failures = [Failure("notebook", message) for message in context.notebooks.broken]
    failures += [outcome.failure for outcome in context.outcomes.values() if outcome.failure]
    return Result(publication.index, context.outcomes, publication.written, (*failures, *publication.failures))


class _Schedule:
    """Runs steps as soon as what they need is there; a step that fails stops only those that need it."""

    def __init__(self, context: Context, plan: list[Step], jobs: int, force: bool, progress: Progress) -> None:
        self._context, self._jobs, self._force, self._progress = context, jobs, force, progress
        self._waiting = list(plan)
        self._running: dict[Future, tuple[Step, dict[str, str], dict, float]] = {}
        self._pool: ProcessPoolExecutor | None = None

    def run(self) -> None:
        """Run all steps; on an interruption the processes are stopped, and the step at work counts as not built."""
        try:
            while self._waiting or self._running:
                self._start_what_can()
                if self._running:
                    done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._finish(future)
        finally:
            if self._pool:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_what_can(self) -> None:
        for step in list(self._waiting):
            if len(self._running) >= self._jobs:
                return
            if any(key not in self._context.outcomes for key in step.after):
                continue
            self._waiting.remove(step)
            if why := steps.obstacle(self._context, step):
                self._settle(Outcome(step, "blocked", why))
                continue
            made_from = steps.inputs(self._context, step)
            why = "forced" if self._force else self._context.stamps.reason(step.key, made_from)
            if why:
                self._start(step, made_from, why)
            else:
                self._settle(Outcome(step, "fresh"))

    def _start(self, step: Step, made_from: dict[str, str], why: str) -> None:
        self._progress.begin(step, why)
        self._context.stamps.remove(step.key)
        before = steps.files_of_models(self._context, step) if step.kind == "model" else {}
        function, arguments = steps.call(self._context, step)
        started = time.monotonic()  # with one job, the step is over when it has been submitted
        future = self._submit(function, arguments)
        self._running[future] = step, made_from, before, started

    def _submit(self, function: Callable, arguments: tuple) -> Future:
        if self._jobs == 1:
            future: Future = Future()
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)
            return future
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._jobs, mp_context=multiprocessing.get_context("spawn"))
        return self._pool.submit(function, *arguments)

    def _finish(self, future: Future) -> None:
        step, made_from, before, started = self._running.pop(future)
        seconds = time.monotonic() - started
        try:
            result = future.result()
        except BrokenProcessPool:
            self._pool = None
            result = Failure("notebook", f"{step.label}: its process was killed. The usual cause is too little memory.")
        except Exception as error:
            result = Failure("notebook", f"{step.label}: {type(error).__name__}: {error}")
        if isinstance(result, Failure):
            self._settle(Outcome(step, "failed", result.message, seconds, result))
            return
        self._context.stamps.write(step.key, made_from, steps.left(self._context, step, result, before))
        self._settle(Outcome(step, "built", "", seconds))

    def _settle(self, outcome: Outcome) -> None:
        self._context.outcomes[outcome.step.key] = outcome
        self._progress.end(outcome)
