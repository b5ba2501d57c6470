"""Triggers: conditions mean what they say, and run nothing else."""

import pytest

from cvmlib.decisions.triggers import FIELDS, read_condition
from cvmlib.errors import ConfigError

AT = "units.shop.triggers.quiet.when"
SCORES = {"probability_alive": 0.4, "value": 120.0, "stage": "cooling", "frequency": 3}


def read(text):
    return read_condition(text, FIELDS["noncontractual"], AT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("probability_alive < 0.5 and value > 100", True),
        ("probability_alive < 0.5 and value > 130", False),
        ("not value > 130 or frequency == 0", True),
        ("0.3 <= probability_alive < 0.4", False),
        ("value * probability_alive - 8 == 40", True),
        ("stage == 'cooling' and -frequency < -2", True),
        ("stage != 'cooling'", False),
        ("value / frequency >= 40", True),
    ],
)
def test_condition_means_what_it_says(text, expected):
    assert read(text)(SCORES) is expected


def test_unknown_field_is_named_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r'triggers\.quiet\.when: found the unknown field "valu"\. Did you mean value\?'
    ):
        read("valu > 100")


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true') == 0", "value.real > 1", "[1][0] < value", "(lambda: 1)() < value",
     "value ** 99 > 1", "value > 1 if stage == 'new' else value < 1"],
)  # fmt: skip
def test_nothing_but_comparisons_is_understood(text):
    with pytest.raises(ConfigError, match=r"is not understood|expected a condition"):
        read(text)


@pytest.mark.parametrize("text", ["value >", "value", "", "7", "value = 3", "x" * 600])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(ConfigError, match="expected a condition such as"):
        read(text)


def test_a_text_is_not_compared_with_a_number():
    with pytest.raises(ConfigError, match="cannot be worked out"):
        read("stage < 3")(SCORES)
