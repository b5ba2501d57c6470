"""Run the benchmarks, print a table, and write benchmarks/results.json:  python -m benchmarks.run [--only NAME]."""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks import results


def find_benchmarks() -> dict[str, ModuleType]:
    """Return the modules ``benchmarks.bench_*`` by the name of their benchmark.

    Each has a ``NAME`` and a function ``run(work: Path) -> list[Figure]``; `work` is a folder that all benchmarks of
    one run share.
    """
    paths = sorted(Path(__file__).parent.glob("bench_*.py"))
    modules = [importlib.import_module(f"benchmarks.{path.stem}") for path in paths]
    return {module.NAME: module for module in modules}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit code is 1 when a figure misses its bar."""
    benchmarks = find_benchmarks()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", choices=sorted(benchmarks), help="run this one")
    only = parser.parse_args(arguments).only
    commit = results.current_commit()
    records: list[results.Record] = []
    with tempfile.TemporaryDirectory(prefix="cvm-bench-") as work:
        for name in [only] if only else benchmarks:
            print(f"{name} …", file=sys.stderr, flush=True)
            new = [figure.record(commit) for figure in benchmarks[name].run(Path(work))]
            results.write(new)
            records += new
    print(results.as_table(records))
    return 0 if all(record["met"] for record in records) else 1


if __name__ == "__main__":
    sys.exit(main())
