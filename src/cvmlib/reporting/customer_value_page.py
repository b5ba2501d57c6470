"""The customer-value page: all of a customer's value, who the customers are, and where more is to be had."""

import numpy as np

from cvmlib import plots
from cvmlib.decisions.value_results import UnitParts
from cvmlib.plots.segments import payback_curves, type_square
from cvmlib.reporting import growth_words as growth
from cvmlib.reporting import show
from cvmlib.reporting import value_parts_tables as tables
from cvmlib.reporting import value_parts_words as words

_MOST = "May cost at most: then it earns as much per money spent as winning customers has so far."


def show_verdict(unit: UnitParts) -> None:
    """Show what the unit's customers are worth in all, and what limits what can be said."""
    level, headline = words.judge_page(unit)
    show.verdict(level, headline, *words.list_reasons(unit))
    show.facts(words.list_facts(unit))


def show_parts(unit: UnitParts) -> None:
    """Show the parts of value and what they add up to."""
    if unit.withheld:
        show.prose("Only what is past can be told; the parts ahead are withheld.")
        return
    sentence = words.describe_parts(unit)
    show.prose(show.text(sentence))
    table, formats = tables.parts_table(unit)
    ax = plots.interval_bars(tables.parts_frame(unit), label="Value", unit=unit.totals["currency"])
    caption = f"All parts of value with {unit.totals['interval']:.0%} intervals; the last bar is their sum."
    show.figure(ax.figure, sentence, table, caption, "parts of value", formats)


def show_types(unit: UnitParts) -> None:
    """Show the four types with their customers and value."""
    if unit.withheld:
        return
    sentence = words.describe_types(unit)
    show.prose(show.text(sentence))
    frame = unit.tables["types"].rename(columns={"current": "value_share"})
    monthly = unit.totals["each"] == "month"
    across = "Stays through the horizon" if monthly else "Purchases a year, while a customer"
    ax = type_square(frame, across=across, up=f"Margin per {unit.totals['each']}")
    table, formats = tables.types_table(unit)
    show.figure(ax.figure, sentence, table, "Types of customers; darker fields hold more value.", "types", formats)


def show_tiers(unit: UnitParts) -> None:
    """Show tiers with their share of value, and how concentrated it is."""
    if unit.withheld:
        return
    sentence = words.describe_tiers(unit)
    show.prose(show.text(sentence))
    tiers = unit.tables["tiers"]
    series = {"of customers": tiers["customer_share"], "of the value ahead": tiers["value_share"]}
    percents = {name: 100 * np.asarray(values, float) for name, values in series.items()}
    ends = [100 * tiers[f"share_{end}"] for end in ("low", "high")]
    ax = plots.compared_bars(
        tiers["tier"].tolist(), percents, label="Share (%)", of="Value tier", low=ends[0], high=ends[1]
    )
    table, formats = tables.tiers_table(unit)
    show.figure(ax.figure, sentence, table, "Share of customers and of the value ahead by tier.", "tiers", formats)
    if len(unit.tables["lorenz"]):
        curve = unit.tables["lorenz"][["customers", "share"]]
        ax = plots.lorenz(curve, label="Share of the value ahead")
        caption = "Share of the value ahead held by the best customers."
        show.figure(ax.figure, caption, curve, caption, "concentration", dict.fromkeys(curve.columns, "percent:1"))


def show_moves(unit: UnitParts) -> None:
    """Show who moved between tiers."""
    moves = unit.tables["moves"]
    sentence = words.describe_moves(moves)
    show.prose(show.text(sentence))
    if len(moves):
        table, formats = tables.moves_table(moves, unit.totals["interval"])
        grid = tables.moves_grid(moves)
        ax = plots.grid_shares(grid, row_label="Tier the year before", column_label="Tier in the last year")
        caption = "Share of each tier's customers by where they were a year later."
        show.figure(ax.figure, sentence, table, caption, "moves", formats)


def show_clusters(unit: UnitParts) -> None:
    """Show groups of customers who act alike."""
    clusters = unit.tables["clusters"]
    show.prose(show.text(words.describe_clusters(clusters)))
    if len(clusters):
        table, formats = tables.clusters_table(clusters)
        note = "Typical values: means of the logarithms, so that a few large customers do not stand for all."
        if unit.totals["setting"] == "noncontractual":
            note += " Classes by recency, frequency and monetary value are on the page Customers."
        show.table(table, "Groups of customers who act alike", "behaviour", formats, note)


def show_headroom(unit: UnitParts) -> None:
    """Show who has headroom, and in what."""
    if unit.withheld:
        return
    show.prose(show.text(growth.describe_headroom(unit)))
    if len(unit.tables["kinds"]) > 1:
        table, formats = tables.kinds_table(unit)
        note = "The kinds share out the potential: they add up to it, and no euro is in two of them."
        show.table(table, "Headroom by kind", "kinds of headroom", formats, note)
    if len(unit.tables["categories"]):
        table, formats = tables.categories_table(unit.tables["categories"])
        show.table(table, "Categories and who holds them", "categories", formats)
    if len(unit.tables["partners"]):
        table, formats = tables.partners_table(unit.tables["partners"])
        show.table(table, "What goes together in a purchase", "goes together", formats)
    if len(unit.tables["upsell"]):
        table, formats = tables.headroom_table(unit)
        show.table(table, "Customers of the largest headroom", "headroom", formats, rows=10)


def show_influence(unit: UnitParts) -> None:
    """Show who brings others."""
    show.prose(show.text(words.describe_referrers(unit)))
    if len(unit.tables["referrers"]) and not unit.withheld:
        table, formats = tables.referrers_table(unit)
        show.table(table, "Customers of the largest influence", "influence", formats, rows=10)


def show_payback(unit: UnitParts) -> None:
    """Show how soon customers earn back what winning them cost."""
    sentence = words.describe_payback(unit)
    show.prose(show.text(sentence))
    if len(unit.tables["payback"]):
        ax = payback_curves(unit.tables["payback"])
        caption = "Share of customers whose margin has covered the cost of winning them."
        frame = unit.tables["payback"]
        formats = dict.fromkeys(["paid", "low", "high"], "percent:1")
        show.figure(ax.figure, sentence, frame, caption, "paid back", formats)
        table, formats = tables.payback_table(unit)
        show.table(table, "Margin against the cost of winning a customer", "payback", formats)


def show_penetration(unit: UnitParts) -> None:
    """Show whether the next euro earns more by winning customers or with those there are."""
    show.prose(show.text(growth.describe_penetration(unit)))
    if len(unit.tables["penetration"]):
        table, formats = tables.ways_table(unit)
        show.table(table, "Margin back per money spent, either way", "more customers or more each", formats)
    show.prose(show.text(growth.describe_market(unit)))
    show.prose(show.text(growth.describe_worth(unit)))
    if len(unit.tables["market"]):
        table, formats = tables.steps_table(unit)
        show.table(table, "One more customer, against more of each", "one more", formats, _MOST)


def show_best(unit: UnitParts) -> None:
    """List the most valuable customers with all parts."""
    if unit.withheld or unit.tables["best"].empty:
        return
    table, formats = tables.best_table(unit)
    show.table(table, "The most valuable customers, all parts", "best customers", formats, rows=10)


def show_unknowns(unit: UnitParts) -> None:
    """List what the page leaves out or assumes."""
    show.prose("- " + "\n- ".join(show.text(line) for line in words.list_unknowns(unit)))
