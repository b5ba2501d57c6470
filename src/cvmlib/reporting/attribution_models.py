"""The parts of the models notebook on journeys: every business unit that records touchpoints, one after the other."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cvmlib.attribution.chain import build_chain
from cvmlib.attribution.coalitions import count_coalitions, fit_coalitions, require_identified
from cvmlib.attribution.markov import attribute_markov
from cvmlib.attribution.posterior import POSTERIORS, draw_markov, summarise_shares
from cvmlib.attribution.prepare import UnitJourneys, load_unit, source_of_journeys
from cvmlib.attribution.study import Study, save_study, study_unit
from cvmlib.errors import DataError, UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import attribution_page as page
from cvmlib.reporting import attribution_tables as tables
from cvmlib.reporting import attribution_words as words
from cvmlib.reporting import show

_DRAWS = 1000
_COALITIONS = 20


def load_journeys(
    portfolio: Portfolio, units: Iterable[str] | None = None
) -> tuple[dict[str, UnitJourneys], dict[str, str]]:
    """Load the journeys of units, or of all that supply them; return those that can be used, and why others cannot."""
    data, refused = {}, {}
    names = [name for name in portfolio.units if source_of_journeys(portfolio.units[name])] if units is None else units
    for name in names:
        try:
            data[name] = load_unit(portfolio, name)
        except DataError as error:
            refused[name] = str(error)
    return data, refused


def study_journeys(
    portfolio: Portfolio, data: Mapping[str, UnitJourneys], refused: Mapping[str, str]
) -> tuple[dict[str, Study], dict[str, str]]:
    """Apply every method to each unit; return the studies, and why others cannot be made."""
    studies, without = {}, dict(refused)
    for name, journeys in data.items():
        try:
            studies[name] = study_unit(portfolio, journeys)
        except UnfitModelError as error:
            without[name] = str(error)
    return studies, without


def show_refused(portfolio: Portfolio, refused: Mapping[str, str]) -> None:
    """Show the units whose journeys cannot be used, and why; raise when nothing else is left.

    Raises
    ------
    UnfitModelError
        No unit can be studied.
    """
    for name, reason in refused.items():
        show.verdict("withheld", f"{portfolio.units[name].label}: its journeys cannot be used.", reason)


def show_findings(portfolio: Portfolio, data: Mapping[str, UnitJourneys]) -> None:
    """Show what was left out or treated, unit by unit."""
    for name, journeys in data.items():
        table = tables.finding_table(journeys.findings, portfolio.currency)
        title = f"{journeys.unit.label}: {len(journeys.paths):,} different paths; what was left out or treated"
        show.table(table, title, f"findings {name}", {"Number": "integer", f"Money ({portfolio.currency})": "money"})


def show_orders(studies: Mapping[str, Study]) -> None:
    """Show the held-out scores of the orders."""
    for name, study in studies.items():
        show.prose(show.text(words.describe_order(study)))
        formats = {
            "Log score of a held-out journey": "number:4",
            "Behind the best": "number:4",
            "Standard error": "number:4",
        }
        show.table(tables.order_table(study.orders), f"Orders of the chain, {name}", f"orders {name}", formats)


def show_removals(studies: Mapping[str, Study]) -> None:
    """Show the effects of all removal rules."""
    for name, study in studies.items():
        table = tables.removal_table(study.removals)
        reasons = study.removals[study.removals["reason"] != ""].drop_duplicates("rule")
        note = " ".join(f"{tables.RULE_NAMES[r.rule]}: {r.reason}." for r in reasons.itertuples())
        title = f"Share of conversions lost without a channel, order {study.notes['order']}, {name}"
        show.table(table, title, f"removals {name}", tables.shares_formats(table), note)


def show_posteriors(
    portfolio: Portfolio, data: Mapping[str, UnitJourneys], studies: Mapping[str, Study], draws: int = _DRAWS
) -> None:
    """Show both posteriors of the Markov shares."""
    for name, study in studies.items():
        if "markov" in set(study.refused["method"]):
            continue
        paths = data[name].paths
        chain, walk = build_chain(paths, study.notes["order"])
        point = attribute_markov(paths, chain.order, fitted=chain).conversions / paths.conversions.sum()
        table = pd.DataFrame({"Channel": paths.channels, "Share": point})
        for kind in POSTERIORS:
            drawn = draw_markov(paths, chain, walk, draws, posterior=kind, seed=portfolio.seed)[:, 0]
            found = summarise_shares(paths.channels, point, drawn, portfolio.interval)
            table[f"{kind}, from"], table[f"{kind}, to"] = found["low"], found["high"]
            table[f"{kind}, share of draws of this rank"] = found["same_rank"]
        title = f"Markov shares with {portfolio.interval:.0%} intervals, {name}"
        show.table(table, title, f"posteriors {name}", tables.shares_formats(table))


def show_coalitions(data: Mapping[str, UnitJourneys]) -> None:
    """Show the most frequent coalitions: how often they convert, as counted and under the pooled model."""
    for name, journeys in data.items():
        coalitions = count_coalitions(journeys.paths)
        try:
            require_identified(coalitions)
        except UnfitModelError as error:
            show.note(show.text(str(error)))
            continue
        model = fit_coalitions(coalitions)
        seen = coalitions.conversions + coalitions.nulls
        top = np.argsort(-seen, kind="stable")[:_COALITIONS]
        names = np.array(coalitions.channels, dtype=object)
        table = pd.DataFrame(
            {
                "Coalition": [", ".join(names[coalitions.member[i]]) for i in top],
                "Journeys": seen[top].round().astype("int64"),
                "Share converted": coalitions.conversions[top] / seen[top],
                "Share under the model": -np.expm1(-(model.base + coalitions.member[top] @ model.channel)),
            }
        )
        title = f"Coalitions of channels, {name}: the {len(top)} most frequent of {len(seen):,}"
        show.table(table, title, f"coalitions {name}", tables.shares_formats(table))


def show_calibration(portfolio: Portfolio, studies: Mapping[str, Study]) -> None:
    """Show all methods side by side, and the tests."""
    for study in studies.values():
        compared = page.compare(study)
        page.show_verdict(study, compared, portfolio.currency)
        page.show_disagreements(study, compared)
        page.show_tests(study)


def save_studies(data: Mapping[str, UnitJourneys], studies: Mapping[str, Study]) -> list[str]:
    """Save what the report pages read; return the names of the files."""
    return [path.name for name, study in studies.items() for path in save_study(data[name], study)]
