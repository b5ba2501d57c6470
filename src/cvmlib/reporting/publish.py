"""Turn the executed notebooks into pages that link to each other, and write the index."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvmlib.errors import CvmError
from cvmlib.reporting import fingerprints, index, pages, steps
from cvmlib.reporting.pages import Link, Page, Site
from cvmlib.reporting.places import address, has_current_copy, is_shown, page_path
from cvmlib.reporting.run import Failure
from cvmlib.reporting.steps import Context, Step


@dataclass(frozen=True)
class Publication:
    """The index, the files written this time, and the pages that could not be made."""

    index: Path
    written: tuple[Path, ...]
    failures: tuple[Failure, ...]


def publish(context: Context) -> Publication:
    """Write every page whose notebook, template or navigation has changed, then the index.

    A page whose notebook failed stays as it was.
    """
    portfolio = context.portfolio
    plan = [step for step in steps.plan_steps(portfolio, context.notebooks) if step.kind != "count"]
    shown = [step for step in plan if is_shown(context, step)]
    site = Site(portfolio.name, tuple(_sections(context, shown)))
    written, failures = [], []
    for step in shown:
        if not has_current_copy(context, step):
            continue
        page = _page(context, step, shown)
        try:
            path = _export(context, step, page, site)
        except CvmError as error:
            failures.append(Failure("notebook", f"{step.label}: {error}"))
            continue
        if path:
            written.append(path)
    path = portfolio.reports_dir / "index.html"
    if pages.write_text(path, index.render_index(context, site, shown)):
        written.append(path)
    return Publication(path, tuple(written), tuple(failures))


def _sections(context: Context, shown: list[Step]) -> Iterable[Link]:
    for name, unit in context.portfolio.units.items():
        first = next((step for step in shown if step.kind == "page" and step.unit == name), None)
        if first:
            yield Link(unit.label, address(first), f"unit/{name}")
    if last := next((step for step in shown if step.kind == "portfolio"), None):
        yield Link(last.notebook.title, address(last), "portfolio")
    if model := next((step for step in shown if step.kind == "model"), None):
        yield Link("Models", address(model), "models")


def _page(context: Context, step: Step, shown: list[Step]) -> Page:
    section = {"model": "models", "page": f"unit/{step.unit}", "portfolio": "portfolio"}[step.kind]
    siblings = [other for other in shown if other.kind == step.kind and other.unit == step.unit]
    label = context.portfolio.units[step.unit].label if step.unit else "Models" if step.kind == "model" else ""
    links = tuple(Link(other.notebook.title, address(other)) for other in siblings)
    return Page(step.notebook.title, address(step), section, label, links)


def _export(context: Context, step: Step, page: Page, site: Site) -> Path | None:
    """Write a page if it is not up to date; return its file if it was written."""
    copy, path = context.copy_of(step), page_path(context, step)
    made_from = {
        "notebook": context.hashes.of(copy),
        "template": fingerprints.hash_templates(),
        "navigation": fingerprints.hash_json([repr(page), repr(site)]),
    }
    key = f"html/{step.key}"
    if path.is_file() and context.stamps.read(key).get("inputs") == made_from:
        return None
    import nbformat

    from cvmlib.reporting.exporter import export_page

    notebook = nbformat.read(copy, as_version=4)
    page = Page(**{**vars(page), "provenance": dict(notebook.metadata.get("cvm_provenance", []))})
    written = pages.write_text(path, export_page(notebook, page, site))
    context.stamps.write(key, made_from, [])
    return path if written else None
