"""Where the numbers of a page come from, for its footer: data, settings, seed, versions, commit."""

import datetime
import functools
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cvmlib.portfolio import Portfolio
from cvmlib.reporting import fingerprints, words


def describe(portfolio: Portfolio, data: Mapping[str, str], checks: Mapping[str, object]) -> dict[str, str]:
    """Return what the footer of a page says.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    data : mapping of str to str
        Fingerprint of the tables of each unit the page is about.
    checks : mapping
        The check report of a unit, for the end of observation when the portfolio names none.
    """
    end = portfolio.end_of_observation or checks.get("end_of_observation")
    end = datetime.date.fromisoformat(end) if isinstance(end, str) else end
    every = {unit: fingerprints.unit_settings(portfolio, unit) for unit in data}
    settings = fingerprints.hash_json([fingerprints.portfolio_settings(portfolio), every])
    content = next(iter(data.values())) if len(data) == 1 else fingerprints.hash_json(dict(data))
    facts = {
        "Data until": words.day(end) if end else words.UNKNOWN,
        "Data": fingerprints.short(content),
        "Configuration": f"{portfolio.path.name} {fingerprints.short(settings)}",
        "Seed": str(portfolio.seed),
        "PyMC": _version("pymc"),
        "cvmlib": _version("cvmlib"),
        "Commit": _commit(),
    }
    return {name: value for name, value in facts.items() if value}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@functools.cache
def _commit() -> str:
    """Return the commit of the checkout cvmlib runs from, marked when files differ from it; nothing outside git."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit} with changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()
