"""Triggers: conditions on a customer's scores, written in the portfolio file and read without running any code of it.

A condition compares fields and numbers (``<``, ``<=``, ``>``, ``>=``, ``==``, ``!=``), joined by ``and``, ``or`` and
``not``; numbers may be added, subtracted, multiplied and divided, and texts compared: ``probability_alive < 0.5 and
value > 100``. Nothing else is understood: no calls, no names but the fields.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from cvmlib.business_unit import BusinessUnit
from cvmlib.errors import ConfigError
from cvmlib.portfolio_mistakes import nearest

FIELDS = {
    "noncontractual": ("probability_alive", "value", "expected_purchases", "expected_spend", "frequency",
                       "days_since_last", "total_value", "stage", "type", "type_probability", "tier",
                       "tier_probability", "action"),
    "contractual": ("hazard", "probability_active", "value", "tenure", "price", "plan", "stage", "type",
                    "type_probability", "tier", "tier_probability", "action"),
}  # fmt: skip
"""What a condition may name, by the setting of the unit."""

Test = Callable[[Mapping[str, Any]], bool]

_COMPARE = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_COMPUTE = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_LONGEST = 500


def read_triggers(unit: BusinessUnit) -> dict[str, Test]:
    """Read the triggers of a unit.

    Parameters
    ----------
    unit : BusinessUnit
        Its triggers.

    Returns
    -------
    dict of str to callable
        By the trigger's name, a function of a customer's scores that says whether it is set off.

    Raises
    ------
    ConfigError
        A condition cannot be read, or names an unknown field.
    """
    return {
        name: read_condition(trigger.when, FIELDS[unit.setting], f"units.{unit.name}.triggers.{name}.when")
        for name, trigger in unit.triggers.items()
    }


def read_condition(text: str, fields: tuple[str, ...], at: str) -> Test:
    """Read one condition.

    Parameters
    ----------
    text : str
        The condition.
    fields : tuple of str
        Names that it may use.
    at : str
        Key in the portfolio file, for messages.

    Raises
    ------
    ConfigError
        It cannot be read, or names an unknown field.
    """
    try:
        tree = ast.parse(text.strip()[: _LONGEST + 1], mode="eval").body if len(text) <= _LONGEST else None
    except (SyntaxError, ValueError):
        tree = None
    if tree is None or not isinstance(tree, ast.Compare | ast.BoolOp | ast.UnaryOp):
        raise ConfigError(
            f'{at}: found "{text[:80]}"; expected a condition such as "{fields[0]} < 0.5 and value > 100".'
        )
    test = _read(tree, text, fields, at)

    def check(scores: Mapping[str, Any]) -> bool:
        try:
            return bool(test(scores))
        except (TypeError, ZeroDivisionError) as error:
            raise ConfigError(f'{at}: "{text[:80]}" cannot be worked out: {error}.') from None

    return check


def _read(node: ast.AST, text: str, fields: tuple[str, ...], at: str) -> Callable[[Mapping[str, Any]], Any]:
    """Turn a node of the parsed condition into a function of the scores."""

    def read(inner: ast.AST) -> Callable[[Mapping[str, Any]], Any]:
        return _read(inner, text, fields, at)

    match node:
        case ast.BoolOp(op=op, values=values):
            parts, join = [read(value) for value in values], all if isinstance(op, ast.And) else any
            return lambda scores: join(part(scores) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = read(operand)
            return lambda scores: not inner(scores)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = read(operand)
            return lambda scores: -inner(scores)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTE:
            compute, first, second = _COMPUTE[type(op)], read(left), read(right)
            return lambda scores: compute(first(scores), second(scores))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            sides = [read(side) for side in (left, *others)]
            pairs = [(_COMPARE[type(op)], *sides[i : i + 2]) for i, op in enumerate(ops)]
            return lambda scores: all(compare(first(scores), second(scores)) for compare, first, second in pairs)
        case ast.Name(id=name):
            if name not in fields:
                near = nearest(name, fields)
                hint = f" Did you mean {near}?" if near else ""
                raise ConfigError(f'{at}: found the unknown field "{name}".{hint} Fields are: {", ".join(fields)}.')
            return lambda scores: scores[name]
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return lambda scores: value
    found = ast.get_source_segment(text.strip(), node) or text
    raise ConfigError(
        f'{at}: "{found[:80]}" is not understood. A condition compares fields with numbers or texts, joined by and, '
        f"or, not. Fields are: {', '.join(fields)}."
    )
