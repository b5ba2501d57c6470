"""The index of the reports: what the portfolio is worth, a card for each business unit, and what to supply for more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cvmlib.reporting import components, pages, words
from cvmlib.reporting.pages import Link, Page, Site
from cvmlib.reporting.places import address, is_stale, page_path
from cvmlib.reporting.provenance import describe
from cvmlib.reporting.steps import Context, Step, applies, missing_tables, sentences


@dataclass(frozen=True)
class Card:
    """What the index says of one business unit."""

    label: str
    level: str
    level_words: str
    mark: str
    size: str
    worth: str
    headline: str
    reasons: tuple[str, ...]
    strip: tuple[float, float, float] | None
    links: tuple[Link, ...]
    faults: tuple[str, ...]
    fault_title: str
    not_renewed: tuple[str, ...]
    treated: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...]


def render_index(context: Context, site: Site, shown: list[Step]) -> str:
    """Return the index page.

    Parameters
    ----------
    context : Context
        The build: its portfolio, and what became of its steps.
    site : Site
        The navigation.
    shown : list of Step
        The steps whose pages exist.
    """
    portfolio = context.portfolio
    totals = {name: _read_json(context.unit_dir(name) / "totals.json") for name in portfolio.units}
    usable = {name: total for name, total in totals.items() if total and not _counting_failed(context, name)}
    largest = max((t["value"]["high"] for t in usable.values() if _is_told(t)), default=0.0)
    cards = [_card(context, name, usable.get(name, {}), shown, largest) for name in portfolio.units]
    failed = [o for o in context.outcomes.values() if o.failure and o.step.kind in ("model", "portfolio")]
    body = (
        pages.environment()
        .get_template("index.html.j2")
        .render(
            cards=cards,
            interval=words.percent(portfolio.interval),
            common=[Link(s.label, address(s)) for kind in ("portfolio", "model") for s in shown if s.kind == kind],
            failures=[_first_line(outcome.failure.message) for outcome in failed] + list(context.notebooks.broken),
            text=headline(context, usable)[1],
        )
    )
    facts = describe(portfolio, {name: context.data_of(name) for name in portfolio.units}, {})
    facts = {name: value for name, value in facts.items() if name not in ("Commit", "PyMC")}  # the pages tell theirs
    page = Page("Customer value", "index.html", "index", lead=headline(context, usable)[0], provenance=facts)
    return pages.render_page(page, site, body)


def headline(context: Context, totals: Mapping[str, Mapping]) -> tuple[str, str]:
    """Return the portfolio's value in words, and the remark that belongs to it.

    The value of ``portfolio.json`` in the build folder is taken if a notebook wrote it; otherwise the units' ranges are
    added up, which is on the wide side. Units whose verdict is withheld do not count.
    """
    sound = {name: t for name, t in totals.items() if _is_told(t)}
    labels = {name: unit.label for name, unit in context.portfolio.units.items()}
    withheld = [labels[name] for name, t in totals.items() if t.get("verdict", {}).get("level") == "withheld"]
    if not sound:
        return "", _without(withheld)
    together = context.outcomes.get("portfolio")
    fresh = together is not None and together.good
    whole = _read_json(context.portfolio.build_dir / "portfolio.json").get("value") if fresh else None
    added = {end: sum(t["value"][end] for t in sound.values()) for end in ("mean", "low", "high")}
    value, (name, first) = whole or added, next(iter(sound.items()))
    customers = words.count(sum(t.get("active", t["customers"]) for t in sound.values()), "customer")
    where = labels[name] if len(sound) == 1 else words.count(len(sound), "business unit")
    months = words.count(first["horizon_months"], "month")
    money = words.between(value["mean"], value["low"], value["high"], first["currency"])
    lead = f"In the next {months}, the {customers} of {where} are expected to be worth {money}."
    wide = "" if whole or len(sound) == 1 else "The range adds up those of the units, and is on the wide side. "
    return lead, wide + _without(withheld)


def _without(labels: list[str]) -> str:
    return f"Not counted, because the verdict is withheld: {words.listing(labels)}." if labels else ""


def _is_told(total: Mapping) -> bool:
    """Return whether a unit has a value, and its verdict lets it be told."""
    known = isinstance(total.get("value"), dict) and total["value"].get("mean") is not None
    return known and total.get("verdict", {}).get("level") != "withheld"


def _counting_failed(context: Context, unit: str) -> bool:
    outcome = context.outcomes.get(f"count/{unit}")
    return outcome is not None and outcome.state == "failed"


def _card(context: Context, name: str, total: Mapping, shown: list[Step], largest: float) -> Card:
    portfolio, checks = context.portfolio, context.checks(name)
    verdict = total.get("verdict", {})
    counting = context.outcomes.get(f"count/{name}")
    failure = counting.failure if counting else None
    level = "withheld" if failure else verdict.get("level", "info")
    level_words = "Not built" if failure else components.LEVELS[level] if verdict else "No value yet"
    treated = [] if failure else checks.get("problems", [])
    counted = (facts.get("customers") for facts in checks.get("facts", {}).values())
    customers = total.get("customers") or next((number for number in counted if number), 0)
    return Card(
        label=portfolio.units[name].label,
        level=level,
        level_words=level_words,
        mark=components.MARKS[level],
        size=_size(customers, total.get("active")),
        worth=_worth(total) if _is_told(total) else "",
        headline=verdict.get("headline", ""),
        reasons=tuple(verdict.get("reasons", ())),
        strip=_strip(total, largest) if _is_told(total) else None,
        links=tuple(Link(s.notebook.title, address(s)) for s in shown if s.unit == name),
        faults=_faults(failure),
        fault_title="To put right in the data before this unit can be built:" if failure else "",
        not_renewed=_not_renewed(context, name),
        treated=tuple((_place(p), sentences(p["message"], p["treatment"])) for p in treated),
        more=_more(context, name),
    )


def _size(customers: int, active: int | None) -> str:
    """Return how many customers a unit has; of subscribers, also how many are active."""
    if not customers:
        return ""
    return words.count(customers, "customer") if active is None else f"{active:,} active of {customers:,} customers"


def _strip(total: Mapping, largest: float) -> tuple[float, float, float] | None:
    """Return low, mean and high of a unit's value as percentages of the largest unit's, for its drawing."""
    value = total["value"]
    if not 0 <= value["low"] <= value["mean"] <= value["high"] or largest <= 0:
        return None
    return tuple(round(100 * value[end] / largest, 2) for end in ("low", "mean", "high"))


def _worth(total: Mapping) -> str:
    value = total["value"]
    money = words.between(value["mean"], value["low"], value["high"], total["currency"])
    return f"Next {words.count(total['horizon_months'], 'month')}: {money}."


def _faults(failure: object) -> tuple[str, ...]:
    if failure is None:
        return ()
    return failure.problems or tuple(line.strip() for line in failure.message.splitlines() if line.strip())


def _place(problem: Mapping) -> str:
    return ".".join(part for part in (problem["table"], problem["column"]) if part)


def _not_renewed(context: Context, name: str) -> tuple[str, ...]:
    """Return the pages of a unit that could not be built this time, and why."""
    lines = []
    for outcome in context.outcomes.values():
        step = outcome.step
        if step.kind != "page" or step.unit != name or outcome.good or _counting_failed(context, name):
            continue
        why = _first_line(outcome.why)
        state = (
            "The page shows an earlier state. "
            if is_stale(context, outcome) and page_path(context, step).is_file()
            else ""
        )
        lines.append(f"{step.notebook.title} was not built: {why.rstrip('.')}. {state}".strip())
    return tuple(lines)


def _more(context: Context, name: str) -> tuple[tuple[str, str], ...]:
    """Return the pages that more tables would give, and what to supply for each."""
    from cvmlib.tables.contracts import CONTRACTS

    found = []
    for notebook in context.notebooks.reports:
        missing = missing_tables(notebook, context.portfolio, name)
        if applies(notebook, context.portfolio, name) and missing:
            wanted = words.listing(f"{table} ({CONTRACTS[table].purpose.rstrip('.')})" for table in missing)
            found.append((notebook.title, wanted))
    return tuple(found)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _read_json(path: Path) -> dict:
    """Return what a JSON file holds; nothing if it is missing or unreadable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
