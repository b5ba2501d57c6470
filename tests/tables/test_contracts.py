"""The contracts agree with what data/README.md tells people."""

from pathlib import Path

import pytest

from cvmlib.tables.contracts import COMPULSORY, CONTRACTS, contracts_markdown

README = Path(__file__).parents[2] / "data" / "README.md"


def test_readme_holds_the_contracts_as_they_are():
    assert README.read_text(encoding="utf-8").endswith(contracts_markdown())


def test_every_table_of_the_project_has_a_contract():
    assert set(CONTRACTS) == {
        "transactions",
        "subscriptions",
        "customers",
        "products",
        "touchpoints",
        "conversions",
        "paths",
        "holdouts",
        "media",
        "outcomes",
        "lift_tests",
        "programs",
        "assignments",
        "activity",
    }
    assert set(COMPULSORY.values()) <= set(CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_contract_is_sound(name):
    contract = CONTRACTS[name]
    assert contract.required
    assert len(set(contract.names)) == len(contract.columns)
    assert set(contract.key) <= set(contract.names)
    assert all(column.meaning.endswith(".") for column in contract.columns)
    assert all(column.type == "text" for column in contract.columns if column.allowed)
