"""Where the numbers of a page come from, for its footer: data, settings, seed, versions, commit."""

import datetime
from collections.abc import Mapping
from pathlib import Path

from cvmlib import provenance
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
        "PyMC": provenance.version("pymc"),
        "cvmlib": provenance.version("cvmlib"),
        "Commit": provenance.commit(Path(__file__).parent),
    }
    return {name: value for name, value in facts.items() if value}
