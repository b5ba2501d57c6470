"""Mistakes in the criteria of tiers and types: what a person sees of each."""

import pytest

from cvmlib.errors import ConfigError
from cvmlib.portfolio import read_portfolio
from tests.bad_input.test_config import GOOD

MISTAKES = [
    (
        "[units.shop.tiers]\ngold = { from = 100 }\nsilver = { from = 50, to = 120 }",
        ["units.shop.tiers", "found silver and gold to overlap", "silver ends at 120, gold begins at 100"],
    ),
    ("[units.shop.tiers]\ngold = {}\nsilver = { from = 50 }", ["units.shop.tiers", "gold and silver to overlap"]),
    (
        "[units.shop.tiers]\ngold = { from = 100, to = 20 }",
        ["tiers.gold", "from = 100 and to = 20", "from must be below"],
    ),
    ("[units.shop.tiers]\ngold = { from = 'much' }", ["tiers.gold.from", 'found "much"', "margin a year in money"]),
    ("[units.shop.tiers]\ngold = { form = 10 }", ["tiers.gold.form", "unknown key"]),
    ("[units.shop.tiers]\ngold = 100", ["tiers.gold", "found 100", "a table of keys"]),
    ("[units.shop.types]\npurchases_per_year = 0", ["types.purchases_per_year", "found 0", "above 0"]),
    ("[units.shop.types]\nmargin_per_purchase = true", ["types.margin_per_purchase", "found true", "a number"]),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=[text.splitlines()[-1] for text, _ in MISTAKES])
def test_mistake_is_named(text, expected, tmp_path):
    file = tmp_path / "business_units.toml"
    file.write_text(GOOD + "\n" + text + "\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_portfolio(file)
    for words in expected:
        assert words in str(error.value)


def test_good_tiers_are_read(tmp_path):
    file = tmp_path / "business_units.toml"
    file.write_text(GOOD + "\n[units.shop.tiers]\ngold = { from = 100 }\nrest = { to = 100 }\n", encoding="utf-8")
    tiers = read_portfolio(file).units["shop"].tiers
    assert tiers["gold"].low == 100 and tiers["gold"].high == float("inf") and tiers["rest"].low == -float("inf")
