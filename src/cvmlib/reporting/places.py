"""Where the pages are, which of them are current, and which show an earlier state."""

from pathlib import Path
from urllib.parse import quote

from cvmlib.reporting.steps import Context, Outcome, Step


def address(step: Step) -> str:
    """Return the address of a step's page below the reports folder."""
    name = quote(step.notebook.name)
    return {"model": f"models-{name}.html", "page": f"{step.unit}/{name}.html", "portfolio": "portfolio.html"}[
        step.kind
    ]


def page_path(context: Context, step: Step) -> Path:
    """Return the file of a step's page."""
    name = step.notebook.name
    place = {"model": f"models-{name}.html", "page": f"{step.unit}/{name}.html", "portfolio": "portfolio.html"}
    return context.portfolio.reports_dir / place[step.kind]


def has_current_copy(context: Context, step: Step) -> bool:
    """Return whether the executed copy of a step's notebook came to its end."""
    outcome = context.outcomes.get(step.key)
    succeeded = outcome.good if outcome else bool(context.stamps.read(step.key))
    return succeeded and context.copy_of(step).is_file()


def is_shown(context: Context, step: Step) -> bool:
    """Return whether the navigation names a page: a current one, or one that a failure kept from being renewed."""
    if has_current_copy(context, step):
        return True
    outcome = context.outcomes.get(step.key)
    return page_path(context, step).is_file() and (outcome is None or is_stale(context, outcome))


def is_stale(context: Context, outcome: Outcome) -> bool:
    """Return whether a step failed, or was stopped by one that did: its page then shows an earlier state."""
    if outcome.state == "blocked":
        return any(is_stale(context, context.outcomes[key]) for key in outcome.step.after)
    return outcome.state == "failed"
