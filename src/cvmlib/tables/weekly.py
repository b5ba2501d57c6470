"""Weekly tables of media and outcomes: rows of a week added up where they may be, weeks named by their Monday."""

import ibis.expr.types as ir
import pandas as pd

from cvmlib.tables.texts import strip


def weekly_media(table: ir.Table) -> pd.DataFrame:
    """Add up spend by week, region and channel.

    Parameters
    ----------
    table : ibis Table
        Mapped rows of ``media``.

    Returns
    -------
    pandas.DataFrame
        week (Monday), region (empty is the whole market), channel, spend; sorted.
    """
    usable = table.filter([table.week.notnull(), table.channel.notnull(), table.spend.notnull(), ~table.spend.isinf()])
    rows = usable.select(
        week=usable.week.truncate("W"), region=_place(usable, "region"), channel="channel", spend="spend"
    )
    summed = rows.group_by("week", "region", "channel").agg(spend=rows.spend.sum()).execute()
    return _sorted(summed, ["week", "region", "channel"])


def weekly_outcomes(table: ir.Table) -> pd.DataFrame:
    """Return outcomes by week, region and outlet, with their controls as numbers.

    Parameters
    ----------
    table : ibis Table
        Mapped rows of ``outcomes``.

    Returns
    -------
    pandas.DataFrame
        week (Monday), region, outlet, value, and one column per control; one row per row with a week and a value.
    """
    usable = table.filter([table.week.notnull(), table.value.notnull(), ~table.value.isinf()])
    controls = [c for c in table.columns if c not in ("week", "region", "outlet", "value", "currency")]
    rows = usable.select(
        week=usable.week.truncate("W"), region=_place(usable, "region"), outlet=_place(usable, "outlet"), value="value",
        **{name: _number(usable[name]) for name in controls},
    )  # fmt: skip
    frame = _sorted(rows.execute(), ["week", "region", "outlet"])
    filled = [name for name in controls if frame[name].notna().any()]
    return frame[["week", "region", "outlet", "value", *filled]]


def match_places(media: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Add outcomes of regions up to the whole market where media know the whole market only.

    A week counts where every region has a value; controls are averaged with the values as weights.

    Parameters
    ----------
    media, outcomes : pandas.DataFrame
        From `weekly_media` and `weekly_outcomes`.

    Returns
    -------
    pandas.DataFrame
        As `weekly_outcomes` returns; unchanged unless all of media is without a region and none of outcomes is.
    """
    regions = set(outcomes["region"])
    repeated = outcomes.duplicated(["week", "region", "outlet"]).any()
    if set(media["region"]) != {""} or "" in regions or not regions or repeated:
        return outcomes
    keys = ["week", "outlet"]
    groups = outcomes.groupby(keys)
    whole = groups["region"].transform("size") == outcomes.groupby("outlet")["region"].transform("nunique")
    controls = [name for name in outcomes.columns if name not in (*keys, "region", "value")]
    kept = outcomes[whole]
    weighted = kept.assign(**{name: kept[name] * kept["value"] for name in controls})
    sums = weighted.groupby(keys, as_index=False)[["value", *controls]].sum(min_count=1)
    sums[controls] = sums[controls].div(sums["value"], axis=0)
    return sums.assign(region="")[["week", "region", "outlet", "value", *controls]]


def _place(table: ir.Table, name: str) -> ir.StringValue:
    import ibis

    return table[name].fill_null("") if name in table.columns else ibis.literal("")


def _number(value: ir.Value) -> ir.FloatingValue:
    return strip(value).try_cast("float64") if value.type().is_string() else value.cast("float64")


def _sorted(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    frame["week"] = pd.to_datetime(frame["week"]).astype("datetime64[ns]")
    texts = {name: "str" for name in keys if name != "week"}
    return frame.astype(texts).sort_values(keys, ignore_index=True)
