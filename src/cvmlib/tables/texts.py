"""Texts as exports write them, read the same on every engine.

What Spark makes of Ibis's `strip` takes the letters v and f too, hence one of our own.
"""

import ibis
import ibis.expr.types as ir


def is_padded(text: ir.StringValue) -> ir.BooleanValue:
    """Return whether there is space, a tab or a line break before or after a text."""
    return text.re_search(r"^\s|\s$")


def strip(text: ir.StringValue) -> ir.StringValue:
    """Take away the space before and after a text."""
    return ibis.ifelse(is_padded(text), text.re_replace(r"^\s+|\s+$", ""), text)


def is_float_text(text: ir.StringValue) -> ir.BooleanValue:
    """Return whether a text is a whole number written as a floating-point one, such as ``17850.0``."""
    return ibis.ifelse(text.endswith(".0"), text.re_search(r"^[0-9]+\.0$"), False)
