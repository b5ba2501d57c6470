"""Arrays in blocks: every entry in a block of its group, padding elsewhere, sums complete."""

import numba
import numpy as np
import pytest

from cvmlib.clv.families import blocks
from cvmlib.clv.families.blocks import WIDTH, Blocks


@numba.njit
def folded(sums):
    blocks.fold(sums)
    return sums[:, 0]


@pytest.mark.parametrize("sizes", [[1], [WIDTH], [WIDTH + 1, 0, 3], [0, 0, 2 * WIDTH], [5, 7, 0], [0]])
def test_entries_are_in_blocks_of_their_group(sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    values = np.arange(group.size) + 1.0
    layout = Blocks.of(group, len(sizes))
    filled = layout.fill(values, padding=-1.0)
    assert filled.shape == (layout.start[-1], WIDTH)
    for g, size in enumerate(sizes):
        own = filled[layout.start[g] : layout.start[g + 1]].ravel()
        assert list(own[:size]) == list(values[group == g])
        assert (own[size:] == -1.0).all() and len(own) - size < WIDTH


def test_fold_adds_up_each_row():
    values = np.random.default_rng(1).normal(size=(3, WIDTH))
    assert folded(values.copy()) == pytest.approx(values.sum(axis=1), rel=1e-13)
