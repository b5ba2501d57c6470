"""Run a command in a process of its own and measure what it and everything it starts use."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"

# The kernel counts the memory of the process that starts another one towards the peak of the latter, so a small process
# starts the command, and writes to a pipe what it used.
_LAUNCHER = """
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
os.write(int(sys.argv[1]), json.dumps(
    [used.ru_utime + used.ru_stime, time.perf_counter() - start, used.ru_maxrss]
).encode())
sys.exit(code)
"""


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Parameters
    ----------
    cpu : float
        Seconds of user and system time, of the process and all descendants that were waited for.
    wall : float
        Seconds from start to end.
    memory : float
        Largest resident set of any one process, in GB (1e9 bytes).
    output : str
        What the command printed.
    """

    cpu: float
    wall: float
    memory: float
    output: str

    def last_json(self) -> Any:
        """Return the last line of the output, read as JSON."""
        return json.loads(self.output.strip().splitlines()[-1])


def measure(command: Sequence[str | Path], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Usage:
    """Run `command` and measure it; its errors go to standard error.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    cwd : Path
        Folder to run in.
    env : dict, optional
        The whole environment; by default `clean_environment`.

    Raises
    ------
    RuntimeError
        When the command fails.
    """
    reading, writing = os.pipe()
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *map(str, command)]
    with os.fdopen(reading) as figures:
        try:
            done = subprocess.run(
                launcher, cwd=cwd, env=env or clean_environment(), stdout=subprocess.PIPE, text=True, pass_fds=[writing]
            )
        finally:
            os.close(writing)
        cpu, wall, peak = json.loads(figures.read() or "[0, 0, 0]")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-2000:]}")
    in_bytes = 1 if sys.platform == "darwin" else 1024
    return Usage(cpu, wall, peak * in_bytes / 1e9, done.stdout)


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without the settings that tie it to this checkout's caches."""
    from cvmlib.environment import settings

    own = {*settings(ROOT), "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "MAKEFLAGS", "MAKELEVEL"}
    return {name: value for name, value in os.environ.items() if name not in own} | extra


def cold_environment(folder: Path) -> dict[str, str]:
    """Return `clean_environment` with caches below `folder`: where it is empty, everything must be compiled."""
    from cvmlib.environment import settings

    return clean_environment(**settings(folder))


def measure_module(
    module: str, *arguments: str | Path, python: str | Path = sys.executable, env: dict[str, str] | None = None
) -> Usage:
    """Measure ``python -m module arguments`` in the checkout."""
    return measure([python, "-m", module, *arguments], env=env)


def copy_checkout(folder: Path) -> None:
    """Copy what git would commit of the working tree into `folder`: no environment, build or cache."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
