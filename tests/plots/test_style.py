"""The visual language: readable in grey, contrast of text, numbers."""

import matplotlib.colors as mcolors
import numpy as np
import pytest

from cvmlib.plots import style


def _lightness(color):
    red, green, blue = mcolors.to_rgb(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mcolors.to_rgb(color)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_neighbouring_series_differ_in_lightness():
    shades = [_lightness(color) for color in style.SERIES]
    assert abs(shades[0] - shades[1]) > 0.2
    assert len(set(map(str, style.LINES))) == len(style.LINES) >= len(style.SERIES)


def test_heat_map_is_monotone_in_grey():
    shades = [_lightness(style.sequential_map()(x)) for x in np.linspace(0, 1, 50)]
    assert (np.diff(shades) < 0).all()


def test_text_in_cells_reads_on_every_shade():
    for x in np.linspace(0, 1, 50):
        shade = style.sequential_map()(x)
        assert _contrast(style.text_on(shade), shade) >= 4.3


def test_text_colours_read_on_white():
    assert _contrast(style.INK, "white") > 12
    assert _contrast(style.MUTED, "white") > 4.5


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1234567, 0, "1,234,567"), (-0.5, 1, "−0.5"), (-0.0001, 2, "0.00"), (12.345, 1, "12.3")],
)
def test_grouped(value, digits, text):
    assert style.grouped(value, digits) == text


@pytest.mark.parametrize(("largest", "word"), [(9_999, ""), (1.9e6, ""), (2e6, "million "), (-3e9, "billion ")])
def test_magnitude(largest, word):
    assert style.magnitude(largest)[1] == word


def test_an_error_leaves_matplotlib_as_it_was():
    import matplotlib as mpl

    before = dict(mpl.rcParams)

    @style.styled
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert dict(mpl.rcParams) == before
