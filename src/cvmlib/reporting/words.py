"""Numbers in words, for people: ranges of money, counts, shares and dates.

The words are rounded so that a reader sees two or three telling digits, and a mean never falls out of its range by
rounding.
"""

import datetime
import math
from collections.abc import Iterable

_SCALES = ((1e9, "billion"), (1e6, "million"), (1e5, "thousand"))
UNKNOWN = "not known"
OUTCOMES = {"pass": "passed", "warn": "with reservations", "fail": "failed"}
"""What the outcome of a check is called."""


def between(mean: float, low: float, high: float, unit: str = "EUR", centre: str = "most likely") -> str:
    """Return a range in words: ``"between 4.1 and 5.3 million EUR, most likely 4.6"``.

    Parameters
    ----------
    mean, low, high : float
        The expected value and the ends of its interval, in `unit`.
    unit : str
        A currency, or what is counted ("purchases"); may be empty.
    centre : str
        What the mean is called; ``"on average"`` where the distribution leans to one side.

    Returns
    -------
    str
        All three numbers in the same scale and with the same decimals. A mean outside its interval (a long tail) is
        called an average, and numbers that are equal after rounding become ``"about 4.6 million EUR"``.
    """
    if not all(math.isfinite(number) for number in (mean, low, high)):
        return UNKNOWN
    low, high = min(low, high), max(low, high)
    factor, scale = _scale(max(abs(low), abs(high)))
    places = _places(low / factor, high / factor)
    first, last, middle = _trim([_plain(number / factor, places) for number in (low, high, mean)])
    after = "".join(f" {part}" for part in (scale, unit) if part)
    if first == last:
        return f"about {middle}{after}"
    likely = centre if low <= mean <= high else "on average"
    return f"between {first} and {last}{after}, {likely} {middle}"


def amount(value: float, unit: str = "EUR") -> str:
    """Return one number in words, with three telling digits: ``"4.61 million EUR"``, ``"8,450 EUR"``."""
    if not math.isfinite(value):
        return UNKNOWN
    factor, scale = _scale(abs(value))
    scaled = value / factor
    digits = float(f"{scaled:.3g}")
    places = 2 - math.floor(math.log10(abs(digits))) if digits else 0
    number = _plain(scaled, min(places, 2))
    return number + "".join(f" {part}" for part in (scale, unit) if part)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a whole number with its noun: ``"1 customer"``, ``"12,345 customers"``, ``"no customers"``."""
    words = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {words}" if number else f"no {words}"


def percent(share: float, places: int | None = None) -> str:
    """Return a share (0..1) as a percentage that never rounds a part to nothing or to all: ``"less than 0.1%"``."""
    if not math.isfinite(share):
        return UNKNOWN
    if places is None:
        places = 0 if 0.1 <= abs(share) <= 0.9 or share in (0, 1) or abs(share) > 1 else 1
    smallest = 10**-places
    number = round(100 * share, places)
    if 0 < share and number == 0:
        return f"less than {smallest:.{places}f}%"
    if share < 1 and number == 100:
        return f"more than {100 - smallest:.{places}f}%"
    return f"{_plain(100 * share, places)}%"


def chance(probability: float) -> str:
    """Return a probability that was counted over draws, which are too few to tell what is certain."""
    if probability > 0.99:
        return "more than 99%"
    return "less than 1%" if probability < 0.01 else percent(probability, 0)


def listing(items: Iterable[object], conjunction: str = "and") -> str:
    """Return items in a row: ``"fashion, grocery and mobile"``."""
    *first, last = [str(item) for item in items] or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def day(date: datetime.date) -> str:
    """Return a date as ``"30 June 2026"``, the same in every locale."""
    months = "January February March April May June July August September October November December".split()
    return f"{date.day} {months[date.month - 1]} {date.year}"


def _scale(largest: float) -> tuple[float, str]:
    for factor, name in _SCALES:
        if largest >= factor * 0.9995:  # what rounds to 1,000 thousand is already a million
            return (1e3 if name == "thousand" else factor), name
    return 1.0, ""


def _places(low: float, high: float) -> int:
    """Return the decimals (below zero: tens, hundreds) that split the width of the range into five steps or more."""
    width = high - low
    largest = max(abs(low), abs(high))
    if width <= 1e-6 * largest or not largest:
        width = largest / 10
    if not width:
        return 0
    coarsest = min(0, 2 - math.floor(math.log10(largest)))  # three digits of the largest number stay
    return min(max(math.ceil(math.log10(5 / width)), coarsest), 6)


def _trim(numbers: list[str]) -> list[str]:
    """Drop decimals that are zero in all the numbers."""
    while all("." in number and number.endswith("0") for number in numbers):
        numbers = [number[:-1].removesuffix(".") for number in numbers]
    return [number.removesuffix(".") for number in numbers]


def _plain(number: float, places: int) -> str:
    text = f"{round(number, places):,.{max(places, 0)}f}"
    if float(text.replace(",", "")) == 0:
        text = text.replace("-", "")
    return text.replace("-", "−")
