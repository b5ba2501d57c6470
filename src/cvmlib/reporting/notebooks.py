"""What the build must know of a notebook before it runs it: title, needs, parameters, imports, and a fingerprint."""

import ast
import json
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from cvmlib.errors import NotebookError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting.fingerprints import hash_json
from cvmlib.reporting.imports import imported_names

SETTINGS = ("noncontractual", "contractual")
_TITLE = re.compile(r"\A\s*#[ \t]+(.+?)[ \t]*#*[ \t]*(?:\n|\Z)")


@dataclass(frozen=True)
class Notebook:
    """A notebook as the build sees it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        Its name without ending and leading number: ``02_customers.ipynb`` is ``customers``.
    title : str
        What the navigation calls it.
    needs : tuple of str
        Tables (contract names) a unit must supply, and what its checks must not block (``"value"``, ``"holdout"``).
    settings : tuple of str
        Settings of the units it is for.
    reads : tuple of str or None
        Names of the models notebooks whose results it reads; None means all those for the unit's setting.
    parameters : frozenset of str
        Names in its cell of parameters.
    modules : frozenset of str
        Modules of cvmlib it imports.
    fingerprint : str
        Hash of its cells' sources, tags and metadata; running it by hand does not change it.
    config : tuple of str
        Keys that a unit must have in the portfolio file, such as ``actions``.
    record : bool
        Whether it is for units of which forecasts of two days or more are filed.
    """

    path: Path
    name: str
    title: str
    needs: tuple[str, ...]
    settings: tuple[str, ...]
    reads: tuple[str, ...] | None
    parameters: frozenset[str]
    modules: frozenset[str]
    fingerprint: str
    config: tuple[str, ...] = ()
    record: bool = False


@dataclass(frozen=True)
class Notebooks:
    """The notebooks of a project in reading order, and why some files there could not be read."""

    models: tuple[Notebook, ...]
    reports: tuple[Notebook, ...]
    portfolio: Notebook | None
    broken: tuple[str, ...] = ()


def find_notebooks(portfolio: Portfolio) -> Notebooks:
    """Return the notebooks of the portfolio's project, or of the checkout of cvmlib when the project has none."""
    folder = portfolio.root / "notebooks"
    if not folder.is_dir():
        folder = Path(__file__).parents[3] / "notebooks"
    broken: list[str] = []

    def read(pattern: str) -> tuple[Notebook, ...]:
        found = []
        for path in sorted(folder.glob(pattern)):
            try:
                found.append(read_notebook(path))
            except NotebookError as error:
                broken.append(str(error))
        return tuple(found)

    models, reports, last = read("models/*.ipynb"), read("reports/*.ipynb"), read("portfolio.ipynb")
    try:
        models = _in_order(models)
    except CycleError as error:
        broken.append(f"Of the models notebooks each waits for another: {' reads '.join(error.args[1][::-1])}.")
    return Notebooks(models, reports, last[0] if last else None, tuple(broken))


def _in_order(models: tuple[Notebook, ...]) -> tuple[Notebook, ...]:
    """Put the models notebooks in an order in which each comes after those it reads."""
    known = {model.name: model for model in models}
    graph = {model.name: [name for name in model.reads or () if name in known] for model in models}
    return tuple(known[name] for name in TopologicalSorter(graph).static_order())


def read_notebook(path: Path) -> Notebook:
    """Return what the build must know of a notebook.

    Raises
    ------
    NotebookError
        When the file is not a notebook, or its metadata name something unknown.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells, metadata = list(content["cells"]), dict(content["metadata"].get("cvm", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"{path.name} is not a notebook (nbformat 4): {error}.") from error
    unknown = set(metadata) - {"title", "needs", "settings", "reads", "config", "record"}
    wrong = [f"the key {key!r}" for key in sorted(unknown)]
    wrong += [f"the setting {setting!r}" for setting in metadata.get("settings", []) if setting not in SETTINGS]
    if wrong:
        raise NotebookError(f'{path.name}: its metadata "cvm" hold {", ".join(wrong)}, which is not known.')
    name = re.sub(r"^\d+[_-]", "", path.stem)
    reads = metadata.get("reads")
    return Notebook(
        path=path,
        name=name,
        title=metadata.get("title") or _first_heading(cells) or name.replace("_", " ").capitalize(),
        needs=tuple(metadata.get("needs", [])),
        settings=tuple(metadata.get("settings", SETTINGS)),
        reads=None if reads is None else tuple(reads),
        parameters=_parameters(cells),
        modules=_imported_modules(cells),
        fingerprint=hash_json(
            [metadata, [[c["cell_type"], _source(c), c.get("metadata", {}).get("tags", [])] for c in cells]]
        ),
        config=tuple(metadata.get("config", [])),
        record=bool(metadata.get("record", False)),
    )


def _source(cell: dict) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def _first_heading(cells: list[dict]) -> str:
    first = next((_source(cell) for cell in cells if cell["cell_type"] == "markdown"), "")
    match = _TITLE.match(first)
    return match.group(1) if match else ""


def _code(cells: list[dict]) -> str:
    lines = "\n".join(_source(cell) for cell in cells if cell["cell_type"] == "code").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _imported_modules(cells: list[dict]) -> frozenset[str]:
    try:
        return frozenset(imported_names(ast.parse(_code(cells))))
    except SyntaxError:  # the run will say so, with the cell
        return frozenset()


def _parameters(cells: list[dict]) -> frozenset[str]:
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    try:
        assignments = [node for node in ast.walk(ast.parse(_code(tagged))) if isinstance(node, ast.Name)]
    except SyntaxError:
        return frozenset()
    return frozenset(node.id for node in assignments if isinstance(node.ctx, ast.Store))
