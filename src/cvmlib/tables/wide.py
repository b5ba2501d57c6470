"""Wide tables made long: one column of spend per channel becomes one row per channel."""

from collections.abc import Callable, Mapping

import ibis
import ibis.expr.types as ir


def lengthen(
    raw: ir.Table, channels: Mapping[str, str], find: Callable[[ir.Table, str], str | None]
) -> tuple[ir.Table, dict[str, str]]:
    """Turn columns of spend into rows with the columns ``channel`` and ``spend``.

    Parameters
    ----------
    raw : ibis Table
        The table as supplied.
    channels : mapping of str to str
        Channel to the name of its column; without any the table is returned as it is.
    find : callable
        Returns the supplied column of a name, or None.

    Returns
    -------
    table : ibis Table
        Every other column, ``channel`` and ``spend``; as supplied when any column is missing.
    absent : dict of str to str
        The channels whose column the table does not have.
    """
    found = {channel: find(raw, name) for channel, name in channels.items()}
    absent = {channel: channels[channel] for channel, name in found.items() if name is None}
    if not channels or absent:
        return raw, absent
    others = [name for name in raw.columns if name.lower() not in ("channel", "spend")]
    parts = [raw.select(*others, channel=ibis.literal(c), spend=raw[name]) for c, name in found.items()]
    return (ibis.union(*parts) if len(parts) > 1 else parts[0]), {}
