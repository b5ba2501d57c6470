"""Hashes of everything a step is built from: content of files, settings, and the library's own sources."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from cvmlib.portfolio import Portfolio
from cvmlib.reporting.imports import PACKAGE, module_sources


def hash_json(value: object) -> str:
    """Return the hash of a value that JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def short(fingerprint: str) -> str:
    """Return the part of a hash that people see."""
    return fingerprint[:12]


class FileHashes:
    """Content hashes of files, remembered between runs until a file's size or time of change differs.

    Parameters
    ----------
    memory : pathlib.Path
        The JSON file that remembers them.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        try:
            self._known: dict[str, list] = json.loads(memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._known = {}
        self._changed = False

    def of(self, path: Path) -> str:
        """Return the hash of one file's content; ``"missing"`` if there is none."""
        if not path.is_file():
            return "missing"
        state = path.stat()
        stamp = [state.st_mtime_ns, state.st_size, state.st_ino]
        known = self._known.get(str(path))
        if known and known[:3] == stamp:
            return known[3]
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        self._known[str(path)] = [*stamp, content]
        self._changed = True
        return content

    def of_all(self, paths: Iterable[Path], root: Path) -> str:
        """Return one hash of the names (below `root`) and contents of files."""
        return hash_json({path.relative_to(root).as_posix(): self.of(path) for path in sorted(set(paths))})

    def save(self) -> None:
        """Write the memory, if it changed."""
        if self._changed:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            self._memory.write_text(json.dumps(self._known, indent=0), encoding="utf-8")
            self._changed = False


def hash_templates() -> str:
    """Return the hash of everything between an executed notebook and its page: exporter and templates."""
    folder = PACKAGE / "reporting" / "template"
    files = {p.relative_to(folder).as_posix(): _hash_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    return hash_json([files, hash_modules(["cvmlib.reporting.exporter"])])


def hash_modules(names: Iterable[str]) -> str:
    """Return the hash of the sources of modules of cvmlib and of all that they import from it, directly or not."""
    return hash_json({path.relative_to(PACKAGE).as_posix(): _hash_file(path) for path in module_sources(names)})


def portfolio_settings(portfolio: Portfolio) -> dict:
    """Return the settings that concern all units: no names of other units, no places on this machine."""
    return portfolio.model_dump(mode="json", exclude={"units", "path", "name", "demo"})


def unit_settings(portfolio: Portfolio, unit: str) -> dict:
    """Return a unit's own settings."""
    return portfolio.units[unit].model_dump(mode="json")


def unit_data(portfolio: Portfolio, unit: str) -> str:
    """Return the hash of the content of a unit's tables."""
    from cvmlib.tables.sources import source_fingerprint

    return source_fingerprint(portfolio, unit)


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
