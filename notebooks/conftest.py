"""What nbval needs, as `cvm reports` has it: the demo company, counts of all units, notebooks after those they read."""

from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[1] / "business_units.toml"


def pytest_sessionstart(session):
    if not (session.config.getoption("nbval", False) or session.config.getoption("nbval_lax", False)):
        return
    from cvmlib.portfolio import read_portfolio
    from cvmlib.reporting.demo import prepare_demo
    from cvmlib.reporting.progress import Progress
    from cvmlib.reporting.steps import count_unit

    portfolio = read_portfolio(CONFIG)
    with Progress() as progress:
        prepare_demo(portfolio, progress)
    for unit in portfolio.units:
        result = count_unit(CONFIG, unit)
        if not isinstance(result, list):
            pytest.exit(f"{unit} could not be counted: {result.message}", returncode=1)


def pytest_collection_modifyitems(items):
    from cvmlib.portfolio import read_portfolio
    from cvmlib.reporting.notebooks import find_notebooks

    notebooks = find_notebooks(read_portfolio(CONFIG))
    places = {notebook.path.name: place for place, notebook in enumerate((*notebooks.models, *notebooks.reports))}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
