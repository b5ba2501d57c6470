"""Touchpoints and conversions to journeys, on the engine that holds them: DuckDB and Spark by the same expressions.

1. Touches of one channel that follow each other within `session_minutes` are one visit, and count once.
2. A customer's touches belong to the next conversion. A conversion ends a journey; so does a silence longer than the
   look-back window. What follows a conversion is a new journey, and each conversion of a repeat buyer has its own.
3. A journey without a conversion ends with its last touch. In every journey, touches older than the look-back window
   before its end are left out, and no more than the latest `longest_journey` touches are kept.
4. A conversion without any touch in its window is no journey; it is counted apart.

Journeys are then grouped into paths, the count table of every method here.
"""

import datetime

import ibis
import ibis.expr.types as ir

from cvmlib.attribution.stages import place_touches
from cvmlib.business_unit import JourneySettings
from cvmlib.tables.cleaning import EARLIEST, day_after

TOUCH, CONVERSION = 0, 1
OTHER_CHANNELS = "other channels"
_SECONDS_A_DAY = 86_400
_TYPES = 100_000  # more than there can be kinds of touches
_KIND = ("channel", "stage", "purpose")

Reasons = tuple[tuple[str, ir.BooleanValue], ...]


def touch_reasons(touches: ir.Table, end: datetime.date) -> Reasons:
    """Return why rows of touchpoints are left out: name and condition, the first that holds counting."""
    return (
        ("no customer", touches.customer_id.isnull()),
        ("no channel", touches.channel.isnull()),
        ("no time", touches.time.isnull() | (touches.time < ibis.literal(EARLIEST, type="timestamp"))),
        ("after the end of observation", touches.time >= day_after(end)),
    )


def conversion_reasons(conversions: ir.Table, end: datetime.date) -> Reasons:
    """Return why rows of conversions are left out: name and condition, the first that holds counting."""
    return (
        ("no customer", conversions.customer_id.isnull()),
        ("no time", conversions.time.isnull() | (conversions.time < ibis.literal(EARLIEST, type="timestamp"))),
        ("after the end of observation", conversions.time >= day_after(end)),
        ("no value", conversions.value.isnull() | conversions.value.isnan() | conversions.value.isinf()),
        ("a negative value", conversions.value < 0),
    )


def with_reason(table: ir.Table, reasons: Reasons) -> ir.Table:
    """Add a column ``reason``: why a row is left out, NULL when it is used."""
    return table.mutate(reason=ibis.cases(*((where.fill_null(False), name) for name, where in reasons), else_=None))


def list_visits(touches: ir.Table, settings: JourneySettings) -> ir.Table:
    """List visits: used touches, with stage and purpose, without repetitions within a session.

    Returns
    -------
    ibis Table
        customer_id, second (since 1970), channel, stage, purpose, repeated (whether the touch is one visit with the
        touch before it), cost (money, 0 where not stated).
    """
    placed = place_touches(touches, settings.stages, settings.purposes)
    cost = placed.cost.fill_null(0.0) if "cost" in placed.columns else ibis.literal(0.0)
    rows = placed.select(
        "customer_id", "stage", "purpose", second=placed.time.epoch_seconds(), channel=placed.channel, cost=cost
    )
    order = ibis.window(group_by=rows.customer_id, order_by=[rows.second, rows.channel, rows.stage, rows.purpose])
    gap = rows.second - rows.second.lag().over(order)
    same = (rows.channel.lag().over(order) == rows.channel) & (gap <= 60 * settings.session_minutes)
    return rows.mutate(repeated=same.fill_null(False))


def list_kinds(visits: ir.Table, most: int) -> ir.Table:
    """Number the kinds of touches: channel, stage and purpose; channels beyond the `most` largest become one.

    Returns
    -------
    ibis Table
        channel, stage, purpose (as in the visits), name (the channel's, or "other channels"), kind (a number from 0),
        touches, cost (money).
    """
    counted = visits.group_by(_KIND).agg(touches=visits.count(), cost=visits.cost.sum())
    size = counted.touches.sum().over(ibis.window(group_by=counted.channel))
    sized = counted.mutate(size=size)
    place = ibis.dense_rank().over(ibis.window(order_by=[sized["size"].desc(), sized.channel]))
    named = sized.mutate(place=place)
    named = named.mutate(channels=named.place.max().over(ibis.window()) + 1)
    own = (named.channels <= most) | (named.place < most - 1)
    named = named.mutate(name=own.ifelse(named.channel, OTHER_CHANNELS))
    number = ibis.row_number().over(ibis.window(order_by=[named[name] for name in _KIND]))
    return named.mutate(kind=number).drop("size", "place", "channels")


def list_events(visits: ir.Table, kinds: ir.Table, conversions: ir.Table, settings: JourneySettings) -> ir.Table:
    """List visits and conversions of each customer in order of time, each in its journey.

    Parameters
    ----------
    visits, kinds : ibis Table
        From `list_visits` (those that are not repeated) and `list_kinds`.
    conversions : ibis Table
        Used conversions: customer_id, time, value.
    settings : JourneySettings
        Look-back window.

    Returns
    -------
    ibis Table
        customer_id, second, event (0 a touch, 1 a conversion), kind (of the touch), value (money), journey (number of
        the customer's journey, from 1), late (whether a touch came after some conversion of the customer).
    """
    touches = visits.join(kinds, list(_KIND)).select(
        "customer_id", "second", event=ibis.literal(TOUCH), kind="kind", value=ibis.literal(0.0)
    )
    ends = conversions.select(
        "customer_id",
        second=conversions.time.epoch_seconds(),
        event=ibis.literal(CONVERSION),
        kind=ibis.literal(-1),
        value=conversions.value,
    )
    types = {"second": "int64", "event": "int64", "kind": "int64", "value": "float64"}
    events = touches.cast(types).union(ends.cast(types))
    order = ibis.window(group_by=events.customer_id, order_by=[events.second, events.event, events.kind, events.value])
    events = events.mutate(
        before=events.event.lag().over(order), silence=events.second - events.second.lag().over(order)
    )
    starts = events.before.isnull() | (events.before == CONVERSION)
    starts = starts | (events.silence > _SECONDS_A_DAY * settings.lookback_days)
    events = events.mutate(starts=starts.cast("int64"))
    order = ibis.cumulative_window(
        group_by=events.customer_id, order_by=[events.second, events.event, events.kind, events.value]
    )
    past = (events.event.sum().over(order) > 0) & (events.event == TOUCH)
    return events.mutate(journey=events.starts.sum().over(order), late=past).drop("before", "silence", "starts")


def list_touches(events: ir.Table, settings: JourneySettings) -> ir.Table:
    """List the touches of all journeys with what becomes of each.

    Returns
    -------
    ibis Table
        customer_id, journey, kind, second, from_end (0 for the last touch), converted (whether the journey did), value
        (of its conversion, money), age (seconds before its end), inside (whether the touch is in the look-back window),
        kept (whether it is also among the latest), late.
    """
    whole = ibis.window(group_by=[events.customer_id, events.journey])
    rows = events.mutate(
        ends=events.second.max().over(whole),
        converted=events.event.max().over(whole) == CONVERSION,
        worth=events.value.sum().over(whole),
    ).filter(lambda t: t.event == TOUCH)
    age = rows.ends - rows.second
    back = ibis.window(group_by=[rows.customer_id, rows.journey], order_by=[rows.second.desc(), rows.kind.desc()])
    rows = rows.mutate(age=age, from_end=ibis.row_number().over(back))
    inside = rows.age <= _SECONDS_A_DAY * settings.lookback_days
    return rows.select(
        "customer_id", "journey", "kind", "second", "from_end", "converted", "age", "late",
        value=rows.worth, inside=inside, kept=inside & (rows.from_end < settings.longest_journey),
    )  # fmt: skip


def list_journeys(touches: ir.Table, settings: JourneySettings) -> ir.Table:
    """Write each journey's path, as numbers of kinds with blanks between.

    Parameters
    ----------
    touches : ibis Table
        Kept rows of `list_touches`.

    Returns
    -------
    ibis Table
        customer_id, journey, path, converted, value (money), and recencies: the weight of the path's last touch, the
        one before it …, written with blanks between; the weights of a journey add up to 1.
    """
    weight = 2.0 ** (-touches.age.cast("float64") / (_SECONDS_A_DAY * settings.half_life_days))
    key = (settings.longest_journey - touches.from_end).cast("int64") * _TYPES + touches.kind
    grouped = touches.mutate(weight=weight, key=key).group_by(["customer_id", "journey"])
    rows = grouped.agg(
        keys=ibis._.key.collect(), converted=ibis._.converted.max(), value=ibis._.value.max(), whole=ibis._.weight.sum()
    )
    path = rows["keys"].sort().map(lambda key: (key % _TYPES).cast("string")).join(" ")
    return rows.select("customer_id", "journey", "converted", "value", "whole", path=path)


def count_paths(journeys: ir.Table) -> ir.Table:
    """Count journeys by path.

    Returns
    -------
    ibis Table
        path, conversions, nulls, value (sum, money), value_sq (sum of squares).
    """
    yes = journeys.converted.cast("int64")
    value = journeys.converted.ifelse(journeys.value, 0.0)
    rows = journeys.mutate(yes=yes, worth=value)
    return rows.group_by("path").agg(
        conversions=rows.yes.sum(),
        nulls=(1 - rows.yes).sum(),
        value=rows.worth.sum(),
        value_sq=(rows.worth * rows.worth).sum(),
    )


def count_recency(touches: ir.Table, journeys: ir.Table, settings: JourneySettings) -> ir.Table:
    """Sum the weights by recency of the touches of converting journeys, by path and place.

    Returns
    -------
    ibis Table
        path, from_end (0 for the last touch), weight (sum over the conversions of the path).
    """
    whole = journeys.filter(journeys.converted).select("customer_id", "journey", "path", "whole")
    joined = touches.join(whole, ["customer_id", "journey"])
    weight = 2.0 ** (-joined.age.cast("float64") / (_SECONDS_A_DAY * settings.half_life_days)) / joined.whole
    rows = joined.mutate(weight=weight)
    return rows.group_by(["path", "from_end"]).agg(weight=rows.weight.sum())
