"""Mistakes in actions, their limits and triggers: the message that a person sees for each."""

import pytest

from cvmlib.errors import ConfigError
from cvmlib.portfolio import read_portfolio
from tests.decisions.shops import CLUB, SHOP

MISTAKES = [
    ("budget of zero", "budget = 60", "budget = 0", ["action_plan.budget", "found 0", "above 0"]),
    ("negative cost", "cost = 0.2", "cost = -1", ["actions.mail.cost", "found -1", "at least 0"]),
    ("no program", 'programs = "spring"', "programs = []", ["actions.mail.programs", "one or more programs"]),
    ("holdout in percent", "holdout = 0.1", "holdout = 10", ["action_plan.holdout", "found 10", "0 to 0.5"]),
    ("capacity zero", "capacity = 60", "capacity = 0", ["actions.gift.capacity", "found 0", "at least 1"]),
    ("channel capacity zero", "email = 200", "email = 0", ["action_plan.channels.email", "found 0", "at least 1"]),
    ("unknown stage", '"active"', '"awake"', ["actions.gift.stages", "awake"]),
    ("stage of the other setting", '"active"', '"at risk"', ["actions.gift.stages", 'found "at risk"', "new, active"]),
    ("leaving in a shop", 'programs = "hope"', 'programs = "hope"\naffects = "leaving"',
     ["actions.hope.affects", 'found "leaving" in a noncontractual unit']),
    ("no programs to measure", "[units.shop.tables.programs]\npath = \"programs.parquet\"\n", "",
     ["units.shop.actions", "no programs to measure them", "[units.shop.tables.programs]"]),
    ("misspelt key", "capacity = 60", "capcity = 60", ["actions.gift.capcity", "Did you mean capacity?"]),
    ("trigger without condition", 'when = "probability_alive < 0.6 and value > 5"', "",
     ["triggers.quiet.when", "missing"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "parts"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake_is_explained(tmp_path, old, new, parts):
    path = tmp_path / "shop.toml"
    assert old in SHOP
    path.write_text(SHOP.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_portfolio(path)
    assert all(part in str(error.value) for part in parts), str(error.value)


@pytest.mark.parametrize("text", [SHOP, CLUB])
def test_the_good_files_are_good(tmp_path, text):
    path = tmp_path / "good.toml"
    path.write_text(text, encoding="utf-8")
    assert read_portfolio(path).units
