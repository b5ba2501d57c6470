"""Imports run one way, modules stay small, notebooks stay thin, and ARCHITECTURE.md names what there is."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cvmlib"

# From the bottom up; a module imports from lower lines only, and names on one line do not import one another.
# The table contracts are words, not work: the portfolio file is checked against them.
LAYERS = [
    {"errors", "environment", "provenance", "periods", "tables.contracts"},
    {"portfolio_mistakes", "business_unit"},
    {"portfolio"},
    {"tables"},
    {"compiled"},
    {"inference"},
    {"quick", "swapping"},
    {"clv", "churn", "attribution", "programs"},
    {"decisions"},
    {"plots"},
    {"reporting"},
    {"cli"},
]
# Inside a domain folder: counts, then models, then value, then validation.
INSIDE = {"counts": 0, "value": 1, "validation": 2}
LONGEST_MODULE = 400
QUICK = ["cli", "portfolio", "reporting/build"]  # what every command imports

MODULES = sorted(SOURCE.rglob("*.py"))
FOLDERS = [ROOT / "notebooks", ROOT / "examples"]
NOTEBOOKS = sorted(
    path for folder in FOLDERS for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
NAMES = {path: path.relative_to(ROOT).as_posix() for path in [*MODULES, *NOTEBOOKS]}


def part_of(name: str) -> str:
    """Return the part in LAYERS that the dotted `name` below cvmlib belongs to."""
    return "tables.contracts" if name.startswith("tables.contracts") else name.split(".")[0]


def rank(part: str) -> int:
    for level, parts in enumerate(LAYERS):
        if part in parts:
            return level
    raise AssertionError(f"cvmlib.{part} has no place in LAYERS of {Path(__file__).name}")


def imported_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield dotted name and line of everything imported from cvmlib, also inside functions, without the `cvmlib.`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((name.removeprefix("cvmlib."), node.lineno) for name in names if name.startswith("cvmlib."))


def backward_imports(module: str, tree: ast.AST) -> list[str]:
    """List the imports of `module` (dotted, below cvmlib) that go up, or across the domain folders."""
    own, wrong = part_of(module), []
    for name, line in imported_names(tree):
        other = part_of(name)
        if other != own:
            allowed = rank(other) < rank(own)
        else:
            here, there = (INSIDE.get((dotted.split(".") + [""])[1]) for dotted in (module, name))
            allowed = here is None or there is None or there <= here
        if not allowed:
            wrong.append(f"line {line}: cvmlib.{module} imports cvmlib.{name}")
    return wrong


def dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@pytest.mark.parametrize("path", MODULES, ids=NAMES.get)
def test_imports_run_one_way(path):
    if path == SOURCE / "__init__.py":
        assert not list(imported_names(ast.parse(path.read_text())))
        return
    assert backward_imports(dotted(path), ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("tables.checks", "from cvmlib.clv.counts import count_rows"),
        ("clv.value", "from cvmlib.churn import counts"),
        ("clv.counts", "def f():\n    from cvmlib.clv.value import total"),
        ("clv.value", "from cvmlib.plots import style"),
        ("reporting.build", "import cvmlib.cli"),
    ],
)
def test_backward_import_is_seen(module, code):
    assert len(backward_imports(module, ast.parse(code))) == 1


def test_imports_have_no_cycle():
    known = {dotted(path) for path in MODULES}
    graph = {}
    for path in MODULES:
        names = {name for name, _ in imported_names(ast.parse(path.read_text()))}
        found = {name if name in known else name.rpartition(".")[0] for name in names}
        graph[dotted(path)] = (found & known) - {dotted(path)}
    TopologicalSorter(graph).prepare()  # raises CycleError, with the cycle


@pytest.mark.parametrize("path", MODULES, ids=NAMES.get)
def test_module_has_one_subject(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}
    if path.name != "__init__.py":
        assert ast.get_docstring(ast.parse(text)), "a module begins with what it is for"


@pytest.mark.parametrize("name", [name for name in QUICK if (SOURCE / f"{name}.py").exists()])
def test_commands_start_without_a_sampler(name):
    code = f"import sys, cvmlib.{name.replace('/', '.')}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pymc", "pytensor", "arviz", "nutpie", "matplotlib"} & set(run.stdout.split())


def code_cells(path: Path) -> list:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def without_magics(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_notebook_is_thin(path):
    cells = code_cells(path)
    assert len(cells) < 25
    for cell in cells:
        assert len(cell.source.splitlines()) <= 14, cell.source
        for node in ast.walk(ast.parse(without_magics(cell.source))):
            forbidden = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.For | ast.While | ast.Lambda
            assert not isinstance(node, forbidden), f"{type(node).__name__} in a notebook: {cell.source}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_notebook_has_one_cell_of_parameters(path):
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    tree = ast.parse(tagged[0].source)
    assert tree.body and all(isinstance(node, ast.Assign | ast.AnnAssign) for node in tree.body)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES.get)
def test_notebook_is_committed_without_outputs(path):
    for cell in code_cells(path):
        checked = cell.source.startswith("# NBVAL_CHECK_OUTPUT")
        assert checked or not cell.outputs, cell.source
        assert cell.execution_count is None
    assert "papermill" not in nbformat.read(path, as_version=4).metadata


def test_architecture_names_every_part():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    parts = {path.name for path in SOURCE.iterdir() if path.name not in {"__init__.py", "__pycache__"}}
    parts = {name if name.endswith(".py") else f"{name}/" for name in parts}
    named = set(re.findall(r"^\| `([a-z_]+(?:/|\.py))` \|", text, flags=re.MULTILINE))
    assert named == parts


def test_architecture_names_only_what_exists():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"`((?:[a-z_.]+/)+[a-z_]+\.(?:py|ipynb|sh|toml|md))`", text):
        assert (ROOT / name).exists() or (SOURCE / name).exists(), f"ARCHITECTURE.md names {name}, which does not exist"
