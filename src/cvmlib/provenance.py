"""Where numbers come from: fingerprints of data, versions of the tools, and the commit."""

import functools
import hashlib
import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd

PACKAGES = ("cvmlib", "pymc", "nutpie", "arviz", "pandas", "numpy", "ibis-framework", "duckdb")


def fingerprint(*frames: pd.DataFrame) -> str:
    """Return a short hash of the content of data frames: equal rows, equal hash."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(",".join(frame.columns).encode())
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that the numbers rest on."""
    return {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    """Return the installed version of a package; empty when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def commit(folder: Path) -> str:
    """Return the commit checked out at a folder, marked when files differ from it; empty outside git."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head} with changes" if changed else head


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
