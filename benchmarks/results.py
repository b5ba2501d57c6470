"""The list of results: one record per figure, printed as a table and kept in benchmarks/results.json."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"
Record = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One measured figure. Less is better.

    Parameters
    ----------
    name : str
        Name of the benchmark.
    figure : float
        What was measured.
    unit : str
        Its unit, such as ``CPU s``.
    bar : float
        What it must not exceed.
    peer : float, optional
        The same of the named peer, measured in the same run.
    peer_name : str
        The peer and its version.
    """

    name: str
    figure: float
    unit: str
    bar: float
    peer: float | None = None
    peer_name: str = ""

    def record(self, commit: str) -> Record:
        """Return the record that is kept; ``ratio`` is the figure of the ``peer`` divided by ours, unless that is 0."""
        return {
            "name": self.name,
            "figure": round(self.figure, 3),
            "unit": self.unit,
            "bar": self.bar,
            "met": bool(self.figure <= self.bar),
            "peer": self.peer_name or None,
            "ratio": round(self.peer / self.figure, 2) if self.peer is not None and self.figure else None,
            "commit": commit,
        }


def current_commit() -> str:
    """Return the commit that is checked out, with ``+`` when tracked files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def merge(earlier: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """Replace benchmarks that ran again, and forget those of other commits."""
    new = list(new)
    commits, names = {record["commit"] for record in new}, {record["name"] for record in new}
    kept = [record for record in earlier if record["commit"] in commits and record["name"] not in names]
    return sorted(kept + new, key=lambda record: (record["name"], record["unit"]))


def write(new: Iterable[Record], path: Path = RESULTS) -> list[Record]:
    """Merge `new` into the file and return everything it then holds."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    records = merge(earlier, new)
    path.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    return records


def as_table(records: Iterable[Record]) -> str:
    """Lay records out as a plain table."""
    head = ("benchmark", "figure", "bar", "unit", "met", "peer", "peer / ours")
    rows = [
        (
            record["name"],
            f"{record['figure']:.2f}",
            f"{record['bar']:g}",
            record["unit"],
            "yes" if record["met"] else "NO",
            record["peer"] or "–",
            "–" if record["ratio"] is None else f"{record['ratio']:.1f} x",
        )
        for record in records
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return "\n".join(line.rstrip() for line in lines)
