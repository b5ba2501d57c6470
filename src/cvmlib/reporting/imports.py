"""Which source files of the library a piece of code runs, found by reading its imports."""

import ast
import functools
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def imported_names(tree: ast.AST) -> set[str]:
    """Return the dotted names that code imports from cvmlib, also inside functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "cvmlib"}


def module_sources(names: Iterable[str]) -> list[Path]:
    """Return the files of the named modules of cvmlib and of all that they import from it, directly or not."""
    found: set[Path] = set()
    waiting = [path for name in names for path in _module_files(name)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imports(path) for file in _module_files(name)]
    return sorted(found)


def _module_files(name: str) -> list[Path]:
    """Return the files that importing a dotted name runs: its packages and itself (or the module it is a part of)."""
    files, place = [PACKAGE / "__init__.py"], PACKAGE
    for part in name.split(".")[1:]:
        place = place / part
        if place.is_dir():
            files.append(place / "__init__.py")
        elif place.with_suffix(".py").is_file():
            files.append(place.with_suffix(".py"))
            break
    return [file for file in files if file.is_file()]


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    return frozenset(imported_names(ast.parse(path.read_text(encoding="utf-8"))))
