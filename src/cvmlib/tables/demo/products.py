"""The catalogue of a fashion unit."""

from typing import NamedTuple

import numpy as np

_CATEGORIES = {  # category: (lowest price, highest price, things in it)
    "accessories": (6, 70, ("scarf", "belt", "cap", "gloves", "socks", "sunglasses")),
    "tops": (12, 95, ("t-shirt", "blouse", "shirt", "polo shirt", "top")),
    "denim": (35, 160, ("slim jeans", "straight jeans", "denim jacket", "denim skirt")),
    "knitwear": (28, 220, ("jumper", "cardigan", "roll neck", "knitted vest")),
    "dresses": (30, 320, ("day dress", "evening dress", "wrap dress", "shirt dress")),
    "shoes": (35, 380, ("sneakers", "ankle boots", "sandals", "loafers", "boots")),
    "bags": (25, 520, ("tote bag", "backpack", "shoulder bag", "clutch")),
    "outerwear": (70, 750, ("rain jacket", "wool coat", "parka", "trench coat", "blazer")),
}
_STYLES = ("linen", "cotton", "organic", "classic", "relaxed", "striped", "plain", "ribbed", "quilted", "soft", "city")
_COLOURS = ("black", "white", "navy", "sand", "olive", "rust", "grey", "berry")
SAMPLE = "free sample"


class Catalogue(NamedTuple):
    """Products by rising price in cents; the last entry is the free sample."""

    product: list[str]
    category: list[str]
    name: list[str]
    cents: np.ndarray
    category_number: np.ndarray


def draw_catalogue(rng: np.random.Generator, size: int, prefix: str) -> Catalogue:
    """Draw `size` products over all categories, plus the free sample."""
    names = list(_CATEGORIES)
    number = rng.integers(len(names), size=size)
    low, high = (np.array([_CATEGORIES[n][i] for n in names], dtype=float)[number] for i in (0, 1))
    price = np.round(low * (high / low) ** rng.random(size)) - 0.05
    order = np.argsort(price, kind="stable")
    number, price = number[order], price[order]
    style, colour, thing = (rng.integers(10**6, size=size) for _ in range(3))
    labels = []
    for k, s, c, t in zip(number, style, colour, thing, strict=True):
        things = _CATEGORIES[names[k]][2]
        labels.append(f"{_STYLES[s % len(_STYLES)]} {things[t % len(things)]}, {_COLOURS[c % len(_COLOURS)]}")
    return Catalogue(
        product=[f"{prefix}P{i:04d}" for i in range(1, size + 1)] + [f"{prefix}P0000"],
        category=[names[k] for k in number] + ["samples"],
        name=[*labels, SAMPLE],
        cents=np.append(np.round(price * 100).astype(np.int64), 0),
        category_number=np.append(number, len(names)),
    )


def choose_products(
    rng: np.random.Generator, catalogue: Catalogue, cents: np.ndarray, favourite: np.ndarray
) -> np.ndarray:
    """Product row for each line: listed a little above the price paid, of the favourite category if one is near."""
    sellable = len(catalogue.product) - 1
    first = np.searchsorted(catalogue.cents[:sellable], cents)
    window = max(3, sellable // 16)
    tries = np.minimum(first + rng.integers(window, size=(3, len(cents))), sellable - 1)
    liked = catalogue.category_number[tries] == favourite
    return tries[np.argmax(liked, axis=0), np.arange(len(cents))]
