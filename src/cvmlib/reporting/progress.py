"""What a build says while it works, on the standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID

    from cvmlib.reporting.steps import Outcome, Step


class Progress:
    """Follows the steps of a build.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bar = None
        self._tasks: dict[str, TaskID] = {}
        self._total = self._done = 0

    def __enter__(self) -> Self:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        if self._console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Bar(*columns, TimeElapsedColumn(), console=self._console, transient=True)
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def expect(self, steps: int) -> None:
        """Say how many steps there are."""
        self._total = steps
        if self._bar:
            self._tasks["all"] = self._bar.add_task("Reports", total=steps)

    def begin(self, step: Step, why: str) -> None:
        """Say that a step begins, and why it has to be built."""
        if self._bar:
            self._tasks[step.key] = self._bar.add_task(_safe(step.label), total=None)
        else:
            self.say(f"{'':>{self._width + 3}}{step.label} … ({why})")

    def end(self, outcome: Outcome) -> None:
        """Say what became of a step."""
        self._done += 1
        if self._bar:
            self._bar.advance(self._tasks["all"])
            if (task := self._tasks.pop(outcome.step.key, None)) is not None:
                self._bar.remove_task(task)
        number = f"{self._done:>{len(str(self._total))}}/{self._total}"
        if outcome.state == "built":
            self.say(f"[{number}] {outcome.step.label} {outcome.seconds:.1f} s")
        elif outcome.state == "blocked":
            self.say(f"[{number}] {outcome.step.label}: not built, {outcome.why}")
        elif outcome.state == "failed":
            self.say(f"[{number}] {outcome.step.label}: failed")

    def count(self, label: str, done: int, total: int) -> None:
        """Show how far a long piece of work has come; on a terminal only."""
        if self._bar:
            if label not in self._tasks:
                self._tasks[label] = self._bar.add_task(_safe(label), total=total)
            self._bar.update(self._tasks[label], completed=done, total=total, visible=done < total)

    def say(self, text: str) -> None:
        """Write one line."""
        self._console.print(text, markup=False)

    @property
    def _width(self) -> int:
        return 2 * len(str(self._total)) + 1


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)
