"""Arrays cut into blocks of one width, group by group, for compiled loops of a fixed length.

A loop of fixed length over numbers side by side compiles to vector instructions without a remainder. A group's last
block is filled up with numbers that count for nothing.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Numbers in a block. Multiples of 8 fill the widest registers; more saves overhead, fewer save padding.
WIDTH = 64


@dataclass(frozen=True)
class Blocks:
    """Where the entries of each group go.

    Parameters
    ----------
    start : int array, shape (groups + 1,)
        First block of each group, and the number of blocks.
    place : int array, shape (entries,)
        Place of each entry among the numbers of all blocks.
    """

    start: Integers
    place: Integers

    @classmethod
    def of(cls, group: Integers, groups: int) -> "Blocks":
        """Lay out entries with these group codes, which are sorted."""
        sizes = np.bincount(group, minlength=groups)
        start = np.r_[0, np.cumsum(-(-sizes // WIDTH))].astype(np.int64)
        within = np.arange(len(group)) - (np.cumsum(sizes) - sizes)[group]
        return cls(start, start[group] * WIDTH + within)

    def fill(self, values: npt.ArrayLike, padding: float = 0.0) -> Floats:
        """Arrange values of the entries; shape (blocks, `WIDTH`)."""
        numbers = np.full(self.start[-1] * WIDTH, padding)
        numbers[self.place] = values
        return numbers.reshape(-1, WIDTH)


@numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def fold(sums: Floats) -> None:  # pragma: no cover - compiled
    """Add up each row of `sums`, of shape (rows, `WIDTH`), into its first element, always in the same order."""
    width = WIDTH // 2
    while width > 0:
        for row in range(sums.shape[0]):
            for i in range(width):
                sums[row, i] += sums[row, i + width]
        width //= 2
