"""Unique journeys as arrays: which channels in which order, and how often each journey converted or did not.

Every method of this package sees journeys only through this table, so its cost follows the number of different
paths, not of customers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cvmlib.errors import DataError

SEPARATOR = ">"
LONGEST = 100
"""Touches of a journey that are kept, the latest ones."""


@dataclass(frozen=True)
class Paths:
    """Unique paths with their counts.

    Parameters
    ----------
    channels : tuple of str
        Names; a touch is a number into them.
    touches : int array, shape (touches,)
        Channels of all paths, one path after the other, each in order of time.
    offsets : int array, shape (paths + 1,)
        Path i is ``touches[offsets[i]:offsets[i + 1]]``; none is empty.
    conversions, nulls : array, shape (paths,)
        Journeys that converted, and that did not.
    value, value_sq : array, shape (paths,)
        Sum of the values of the conversions (money), and of their squares.
    recency : array, shape (touches,), optional
        Sum over the conversions of a path of the weight by recency of each touch, the weights of a journey adding up to
        1; None when no times are known.
    """

    channels: tuple[str, ...]
    touches: np.ndarray
    offsets: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    value: np.ndarray
    value_sq: np.ndarray
    recency: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.conversions)

    @property
    def lengths(self) -> np.ndarray:
        """Touches of each path."""
        return np.diff(self.offsets)

    @property
    def row(self) -> np.ndarray:
        """Number of the path that each touch belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, chosen: np.ndarray) -> Self:
        """Keep the paths of a mask."""
        keep = np.repeat(chosen, self.lengths)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[chosen])])
        counts = {name: getattr(self, name)[chosen] for name in ("conversions", "nulls", "value", "value_sq")}
        recency = None if self.recency is None else self.recency[keep]
        return replace(self, touches=self.touches[keep], offsets=offsets, recency=recency, **counts)

    def relabel(self, names: Sequence[str]) -> Self:
        """Give each channel another name; channels of one name become one, and equal paths one row."""
        channels = tuple(dict.fromkeys(names))
        code = np.array([channels.index(name) for name in names], dtype=self.touches.dtype)
        return merge(replace(self, channels=channels, touches=code[self.touches]))

    def texts(self, joint: str = " > ") -> list[str]:
        """Write each path out."""
        names = np.array(self.channels, dtype=object)[self.touches]
        return [joint.join(names[a:b]) for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def merge(paths: Paths) -> Paths:
    """Merge equal paths into one row each, in the order in which they first occur."""
    touches, offsets = np.ascontiguousarray(paths.touches), paths.offsets
    keys = [touches[a:b].tobytes() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    group, unique = pd.factorize(np.array(keys, dtype=object))
    if len(unique) == len(paths):
        return paths
    first = np.zeros(len(paths), dtype=bool)
    first[np.unique(group, return_index=True)[1]] = True
    merged = paths.take(first)
    counts = {
        name: np.bincount(group, getattr(paths, name), len(unique))
        for name in ("conversions", "nulls", "value", "value_sq")
    }
    if paths.recency is not None:
        start = np.empty(len(unique), dtype=np.int64)
        start[group[first]] = merged.offsets[:-1]
        place = np.arange(len(touches)) - offsets[paths.row]
        counts["recency"] = np.bincount(start[group[paths.row]] + place, paths.recency, len(merged.touches))
    return replace(merged, **counts)


def parse_paths(
    table: pd.DataFrame, separator: str = SEPARATOR, longest: int = LONGEST
) -> tuple[Paths, dict[str, int]]:
    """Read a table of paths written out, such as ``search > email > direct``.

    Parameters
    ----------
    table : pandas.DataFrame
        path (text), conversions and nulls (counts); optionally value (money) and value_sq. Without value_sq,
        conversions of one path are taken to spread as their means do between paths.
    separator : str, default ">"
        Between two touches; blanks around a name do not count.
    longest : int, default 100
        Touches of a path that are kept, the latest ones.

    Returns
    -------
    paths : Paths
        Equal paths are one row.
    cut : dict of str to int
        ``paths`` that were longer, and the ``touches`` they lost.

    Raises
    ------
    DataError
        When no path has a touch.
    """
    text = pa.array(table["path"], type=pa.string())
    lists = pc.split_pattern(text, separator)
    flat = lists.flatten().dictionary_encode()
    names = [str(name).strip() for name in flat.dictionary.to_pylist()]
    channels = tuple(dict.fromkeys(name for name in names if name))
    if not channels:
        raise DataError(
            f"Table of paths: none of {len(table):,} rows holds a touch; expected paths such as "
            f"'search {separator} email', the touches in order of time. Check the column mapped to path."
        )
    number = {name: i for i, name in enumerate(channels)}
    code = np.array([number.get(name, -1) for name in names], dtype=np.int32)
    touches, row = code[flat.indices.to_numpy()], np.repeat(np.arange(len(table)), pc.list_value_length(lists))
    from_end = _from_end(row[touches >= 0])
    kept = np.flatnonzero(touches >= 0)[from_end < longest]
    lost = (touches >= 0).sum() - len(kept)
    found, size = np.unique(row[kept], return_counts=True)
    if "value_sq" not in table:
        table = table.assign(value_sq=_assume_squares(_numbers(table, "conversions"), _numbers(table, "value")))
    counts = {name: _numbers(table, name)[found] for name in ("conversions", "nulls", "value", "value_sq")}
    paths = Paths(channels, touches[kept], np.concatenate([[0], np.cumsum(size)]), **counts)
    return merge(paths), {"paths": int((from_end == longest).sum()), "touches": int(lost)}


def encode_paths(channels: Sequence[str], table: pd.DataFrame) -> Paths:
    """Read paths written as numbers of `channels` with blanks between, as the engine counts them.

    Parameters
    ----------
    channels : sequence of str
        Names of the numbers.
    table : pandas.DataFrame
        path, conversions, nulls, value, value_sq; optionally recency (text: one number per touch).
    """
    lists = pc.split_pattern(pa.array(table["path"], type=pa.string()), " ")
    touches = pc.cast(lists.flatten(), pa.int32()).to_numpy()
    sizes = pc.list_value_length(lists).to_numpy()
    counts = {name: _numbers(table, name) for name in ("conversions", "nulls", "value", "value_sq")}
    return Paths(tuple(channels), touches, np.concatenate([[0], np.cumsum(sizes)]), **counts)


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(float) if name in table else np.zeros(len(table))


def _assume_squares(conversions: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sums of squared values, for a variance within paths equal to the one that their means show."""
    some = conversions > 0
    if some.sum() < 2:
        return np.where(some, value**2 / np.maximum(conversions, 1e-12), 0.0)
    n, mean = conversions[some], value[some] / conversions[some]
    variance = (n * (mean - value[some].sum() / n.sum()) ** 2).sum() / (some.sum() - 1)
    squares = np.zeros(len(value))
    squares[some] = value[some] ** 2 / n + np.maximum(n - 1, 0) * variance
    return squares


def _from_end(row: np.ndarray) -> np.ndarray:
    """Place of each touch counted from the end of its path, 0 for the last."""
    last = np.concatenate([np.flatnonzero(np.diff(row)), [len(row) - 1]])
    ends = np.repeat(last, np.diff(np.concatenate([[-1], last])))
    return ends - np.arange(len(row))
