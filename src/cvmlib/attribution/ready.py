"""Journeys from a table that has counted them already: one row per path, such as ``search > email > direct``."""

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.attribution.disclosure import Finding, count_reasons
from cvmlib.attribution.journeys import OTHER_CHANNELS, with_reason
from cvmlib.attribution.paths import Paths, parse_paths
from cvmlib.attribution.stages import place_touches
from cvmlib.business_unit import JourneySettings


def count_ready(table: ir.Table, settings: JourneySettings) -> tuple[Paths, pd.DataFrame, list[Finding]]:
    """Count a table of paths.

    Parameters
    ----------
    table : ibis Table
        Mapped: path, conversions; optionally value (money) and nulls.
    settings : JourneySettings
        Longest journey, most channels, stages.

    Returns
    -------
    paths : Paths
        By channel, in the order of `kinds`.
    kinds : pandas.DataFrame
        channel, stage, purpose, name, kind, touches, cost.
    findings : list of Finding

    Raises
    ------
    DataError
        When no path is usable.
    """
    rows = with_reason(table, _reasons(table))
    findings = count_reasons(rows, "paths")
    used = rows.filter(rows.reason.isnull())
    sums = {name: used[name].fill_null(0.0).sum() for name in ("value", "nulls") if name in used.columns}
    counted = used.group_by("path").agg(conversions=used.conversions.sum(), **sums).order_by("path").execute()
    if "nulls" not in counted:
        findings.append(
            Finding("column nulls", 1, None, "not supplied: methods that compare with failures are withheld")
        )
    paths, cut = parse_paths(counted.assign(nulls=counted.get("nulls", 0.0)), longest=settings.longest_journey)
    if cut["touches"]:
        what = f"touches beyond the latest {settings.longest_journey} of {cut['paths']:,} paths"
        findings.append(Finding(what, cut["touches"], None, "left out; look whether these are customers or robots"))
    kinds = _list_kinds(paths, settings)
    return paths, kinds, findings


def _reasons(table: ir.Table) -> tuple:
    def bad(name: str) -> ir.BooleanValue:
        return (table[name] < 0) | table[name].isnan() | table[name].isinf()

    optional = [
        (f"a {name} that is negative or no number", bad(name)) for name in ("nulls", "value") if name in table.columns
    ]
    return (
        ("no path", table.path.isnull()),
        ("no count of conversions", table.conversions.isnull()),
        ("a count of conversions that is negative or no number", bad("conversions")),
        *optional,
    )


def _list_kinds(paths: Paths, settings: JourneySettings) -> pd.DataFrame:
    """One kind per channel, placed by its name."""
    weight = (paths.conversions + paths.nulls)[paths.row]
    touches = pd.Series(weight).groupby(paths.touches).sum().reindex(range(len(paths.channels)), fill_value=0)
    frame = pd.DataFrame(
        {"kind": range(len(paths.channels)), "channel": paths.channels, "touches": touches, "cost": 0.0}
    )
    placed = place_touches(ibis.memtable(frame), settings.stages, settings.purposes)
    kinds = ibis.duckdb.connect().execute(placed.order_by("kind"))
    place = kinds["touches"].rank(method="first", ascending=False)
    own = place < settings.most_channels if len(kinds) > settings.most_channels else place > 0
    return kinds.assign(
        name=kinds["channel"].where(own, OTHER_CHANNELS), touches=kinds["touches"].round().astype("int64")
    )
