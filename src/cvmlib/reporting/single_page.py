"""One notebook as a page of its own: run with given parameters, rendered like the pages of a portfolio."""

from collections.abc import Mapping
from pathlib import Path

from cvmlib import provenance
from cvmlib.errors import ConfigError
from cvmlib.reporting import pages
from cvmlib.reporting.notebooks import read_notebook
from cvmlib.reporting.run import Failure, run_notebook


def build_page(notebook: Path, root: Path, parameters: Mapping[str, str]) -> Path | Failure:
    """Run a notebook in its own folder and write its page.

    Parameters
    ----------
    notebook : pathlib.Path
        The notebook; it is not changed.
    root : pathlib.Path
        Folder of the checkout or project: the executed copy goes to ``build/pages``, the page to ``reports``.
    parameters : mapping of str to str
        Values for its cell of parameters.

    Returns
    -------
    Path or Failure
        The page, or what went wrong.

    Raises
    ------
    ConfigError
        The notebook is not there or has no such parameter.
    NotebookError
        The file is no notebook, or its page would not stand alone.
    """
    import nbformat

    from cvmlib.reporting.exporter import export_page

    if not notebook.is_file():
        raise ConfigError(f"There is no notebook {notebook}.")
    described = read_notebook(notebook)
    if unknown := sorted(set(parameters) - described.parameters):
        known = ", ".join(sorted(described.parameters)) or "none"
        raise ConfigError(f"{notebook.name} has no parameter {', '.join(unknown)}; its parameters are: {known}.")
    copy = root / "build" / "pages" / notebook.name
    facts = {"Notebook": notebook.name, "cvmlib": provenance.version("cvmlib")}
    facts |= {"Commit": commit} if (commit := provenance.commit(root)) else {}
    if failure := run_notebook(notebook, copy, parameters, notebook.resolve().parent, facts):
        return failure
    page = pages.Page(described.title, f"{notebook.stem}.html", provenance=facts)
    html = export_page(nbformat.read(copy, as_version=4), page, pages.Site(""))
    path = root / "reports" / page.href
    pages.write_text(path, html)
    return path
