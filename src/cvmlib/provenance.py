"""Where numbers come from: fingerprints of data, versions of the tools, and the commit."""

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
    return {name: metadata.version(name) for name in PACKAGES}


def commit(root: Path) -> str:
    """Return the short commit of a checkout, with ``+changes`` when files differ from it; empty outside git."""
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
