"""Mistakes in a portfolio file, in words: the key, what was found, what is allowed."""

import difflib
import math
from collections.abc import Iterable
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cvmlib.periods import MONTHS, OPPORTUNITIES
from cvmlib.tables.contracts import COMPULSORY, CONTRACTS, STANDALONE

Mistake = tuple[tuple[str, ...], str]

_ALLOWED = {
    "currency": 'three capital letters such as "EUR"',
    "margin": "a number above 0 and at most 1 (45 % is written 0.45)",
    "discount_rate": "a number from 0 to 1 (10 % is written 0.10)",
    "interval": "a number from 0.5 to below 1 (90 % is written 0.9)",
    "horizon_months": "a whole number from 1 to 120",
    "holdout_months": "a whole number from 0 (none) to 120",
    "end_of_observation": "a date without quotation marks such as 2026-06-30",
    "per_transaction": "a number of at least 0",
    "per_customer_year": "a number of at least 0",
    "contact_cost": "a number of at least 0",
    "offer_cost": "a number of at least 0",
    "acceptance": "a number above 0 and below 1, or two such, the lower one first ([0.2, 0.4])",
    "within_months": "a whole number from 1 to 12",
    "quick": "true or false",
    "purchase_models": "a list of one or more of mbg_nbd, bg_nbd, pareto_nbd, mbg_cnbd and bg_cnbd",
    "lookback_days": "a number above 0 and at most 3650",
    "session_minutes": "a number from 0 to 1440",
    "half_life_days": "a number above 0 and at most 3650",
    "longest_journey": "a whole number from 1 to 1000",
    "most_channels": "a whole number from 2 to 200",
    "direct": 'a list of channels such as ["direct"]',
    "market_customers": "a whole number of at least 1: the customers there are to win in all, those won included",
    "covariates": 'a list of columns such as ["plan", "age_group"]',
    "cuts": "a list of numbers for each covariate, such as { price = [10, 25] }",
    "measured_on": 'a column for each covariate, such as { contacts = "counted_on" }',
    "records_from": "a date without quotation marks such as 2024-01-01",
    "renewal_months": "a whole number from 0 (none) to 60",
    "carryover_days": "a whole number from 0 to 365",
    "margin_per_purchase": "a number: money per purchase, or per month of a subscription",
    "purchases_per_year": "a number above 0",
    "from": "a number: margin a year in money; leave it out for no lower end",
    "to": "a number: margin a year in money; leave it out for no upper end",
    "cost": "a number of at least 0",
    "programs": 'a list of one or more programs such as ["winback"]',
    "capacity": "a whole number of at least 1; leave it out for no limit",
    "preferred_only": "true or false",
    "budget": "a number above 0; leave it out for no limit, or take the actions out for none",
    "period_days": "a whole number from 1 to 366",
    "holdout": "a number from 0 to 0.5 (10 % is written 0.1)",
    "explore": "a number from 0 to 1 (10 % is written 0.1)",
    "contacts_per_customer": "a whole number from 1 to 31",
    "rest_days": "a whole number from 0 to 366",
    "seed": "a whole number of at least 0",
    "scale": "a number above 0",
    "years": "a whole number from 1 to 20",
    "hurdle_return": "a number above -1 (0.2 asks for 20 % more margin than cost)",
    "draws": "a whole number of at least 1",
    "tune": "a whole number of at least 1",
    "chains": "a whole number from 1 to 16",
    "filters": 'a list of SQL conditions such as ["Quantity > 0"]',
}


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` is most likely a slip of, or None; letter case does not count."""
    lowered = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def unknown(name: str, candidates: Iterable[str], what: str = "key") -> str:
    """Return the sentence about an unknown name: the nearest valid one, and all valid ones."""
    candidates = list(candidates)
    near = nearest(name, candidates)
    hint = f" Did you mean {near}?" if near else ""
    return f"unknown {what}.{hint} Allowed are: {', '.join(candidates)}"


def describe_errors(error: ValidationError, root: type[BaseModel]) -> list[Mistake]:
    """Turn the errors of a validated file into mistakes: (key path, sentence).

    Parameters
    ----------
    error : pydantic.ValidationError
        What pydantic found.
    root : type of pydantic.BaseModel
        The model of the whole file, to look up which keys are valid where.
    """
    return [_describe(details, root) for details in error.errors()]


def _describe(details: ErrorDetails, root: type[BaseModel]) -> Mistake:
    at = tuple(str(part) for part in details["loc"])
    kind, found = details["type"], details["input"]
    if kind == "extra_forbidden":
        model = _model_at(root, at[:-1])
        keys = [k for k in model.model_fields if k != "name" or not at[0] == "units"] if model else []
        return at, unknown(at[-1], keys)
    if kind == "missing":
        allowed = _allowed(at, details)
        return at, f"missing; expected {allowed}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return at, f"found {quote(found)}; expected a table of keys, written [{'.'.join(at)}]"
    if at == ("units",) and kind == "too_short":
        return at, "found no unit; expected at least one table [units.NAME]"
    return at, f"found {quote(found)}; allowed is {_allowed(at, details)}"


def _allowed(at: tuple[str, ...], details: ErrorDetails) -> str:
    key = next((part for part in reversed(at) if not part.isdigit()), at[-1])
    context = details.get("ctx", {})
    if at[-2:-1] == ("channels",) and "action_plan" in at:
        return "a whole number of at least 1, the contacts of the channel in a period"
    if "hurdle_returns" in at:
        return _ALLOWED["hurdle_return"]
    if "limits" in at:
        return "two multiples of last year's spend, the lower at most 1 and the higher at least 1 ([0.8, 1.2])"
    if key in _ALLOWED and "columns" not in at:
        return _ALLOWED[key]
    if details["type"] == "literal_error":
        return str(context["expected"]).replace("'", '"')
    if key == "setting":
        return '"noncontractual" or "contractual"'
    if key == "tables":
        return "at least one table such as [units.NAME.tables.transactions]"
    if at in (("portfolio",), ("units",)):
        return "the table [portfolio]" if at == ("portfolio",) else "at least one table [units.NAME]"
    return "text in quotation marks, not empty"


def _model_at(root: type[BaseModel], at: tuple[str, ...]) -> type[BaseModel] | None:
    """Return the model that validates the value at a key path, following tables and tables of tables."""
    kind: Any = root
    for part in at:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[part].annotation
        else:
            kind = get_args(kind)[1]
        kind = _unwrap(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _unwrap(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _unwrap(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _unwrap(next(arg for arg in get_args(kind) if arg is not type(None)))
    return kind


def quote(value: Any) -> str:
    """Return a found value as the user would write it in TOML, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)


def find_cross_mistakes(raw: dict[str, Any]) -> list[Mistake]:
    """Return the mistakes that show only when several keys, or the contracts, are read together.

    Parameters
    ----------
    raw : dict
        The parsed file. Values of the wrong type are passed over: they are mistakes of their own.
    """
    mistakes: list[Mistake] = []
    units = raw.get("units")
    portfolio = raw.get("portfolio")
    source = portfolio.get("source") if isinstance(portfolio, dict) else None
    labels: dict[str, str] = {}
    for name, unit in units.items() if isinstance(units, dict) else ():
        if not isinstance(unit, dict):
            continue
        label = unit.get("label")
        if isinstance(label, str) and label in labels:
            mistakes.append(
                (("units", name, "label"), f"found {quote(label)}, the label of units.{labels[label]} too; "
                                           "labels must differ")
            )  # fmt: skip
        elif isinstance(label, str):
            labels[label] = name
        mistakes += _table_mistakes(name, unit, unit.get("source", source)) + _covariate_mistakes(name, unit)
        mistakes += _action_mistakes(name, unit) + _tier_mistakes(name, unit)
        mistakes += _opportunity_mistakes(name, unit, portfolio if isinstance(portfolio, dict) else {})
    return mistakes


def _opportunity_mistakes(name: str, unit: dict[str, Any], portfolio: dict[str, Any]) -> list[Mistake]:
    """Return what does not fit the period by which a unit counts: months are to be whole opportunities."""
    opportunity = unit.get("opportunity")
    if not isinstance(opportunity, str) or opportunity not in OPPORTUNITIES:
        return []
    if unit.get("setting") == "contractual":
        return [
            (("units", name, "opportunity"), "found in a contractual unit; only customers who buy without a contract "
                                             "have opportunities to buy, so leave it out")
        ]  # fmt: skip
    length = MONTHS.get(opportunity, 1)
    return [
        (("portfolio", key), f"found {months}, no whole number of the {opportunity}s by which units.{name} is counted; "
                             f"expected a multiple of {length}")
        for key in ("horizon_months", "holdout_months")
        if isinstance(months := portfolio.get(key, 12), int) and months % length
    ]  # fmt: skip


def _tier_mistakes(name: str, unit: dict[str, Any]) -> list[Mistake]:
    """Return the tiers that hold nobody, and those that overlap: a customer is in one tier only."""
    tiers = unit.get("tiers")
    ends = [(key, _end(tier, "from", -math.inf), _end(tier, "to", math.inf)) for key, tier in _tables(tiers).items()]
    mistakes: list[Mistake] = []
    for key, low, high in ends:
        if low >= high:
            mistakes.append(
                (("units", name, "tiers", key), f"found from = {low:g} and to = {high:g}; from must be below to")
            )
    ranges = sorted((low, high, key) for key, low, high in ends if low < high)
    for (_, high, lower), (low, _, upper) in pairwise(ranges):
        if low < high:
            mistakes.append(
                (("units", name, "tiers"), f"found {lower} and {upper} to overlap: {lower} ends at {high:g}, {upper} "
                                           f"begins at {low:g}; let one end where the other begins")
            )  # fmt: skip
    return mistakes


def _tables(value: Any) -> dict[str, dict[str, Any]]:
    return {k: v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


def _end(tier: dict[str, Any], key: str, without: float) -> float:
    found = tier.get(key)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else without


_STAGES = {"noncontractual": ("new", "active", "cooling", "silent"), "contractual": ("new", "settled", "at risk")}


def _action_mistakes(name: str, unit: dict[str, Any]) -> list[Mistake]:
    """Return what stands against the actions of a unit: measured by nothing, or for customers it does not have."""
    actions, tables, setting = unit.get("actions"), unit.get("tables"), unit.get("setting")
    if not isinstance(actions, dict) or not actions:
        return []
    mistakes: list[Mistake] = []
    if isinstance(tables, dict) and not {"programs", "assignments"} <= set(tables):
        needed = " and ".join(f"[units.{name}.tables.{table}]" for table in ("programs", "assignments"))
        mistakes.append(
            (("units", name, "actions"), f"found actions, but no programs to measure them; supply {needed}")
        )
    for key, action in actions.items():
        if not isinstance(action, dict):
            continue
        stages = action.get("stages", [])
        stages = [stages] if isinstance(stages, str) else stages if isinstance(stages, list) else []
        at = ("units", name, "actions", key)
        for stage in stages:
            if (
                setting in _STAGES
                and stage not in _STAGES[setting]
                and stage in {s for v in _STAGES.values() for s in v}
            ):
                allowed = ", ".join(_STAGES[setting])
                mistakes.append(((*at, "stages"), f"found {quote(stage)}; stages of a {setting} unit are {allowed}"))
        if action.get("affects") == "leaving" and setting == "noncontractual":
            mistakes.append(
                ((*at, "affects"), 'found "leaving" in a noncontractual unit, whose customers leave silently; '
                                   'allowed is "spending"')
            )  # fmt: skip
    return mistakes


def _covariate_mistakes(name: str, unit: dict[str, Any]) -> list[Mistake]:
    at, covariates = ("units", name, "covariates"), unit.get("covariates")
    covariates = [covariates] if isinstance(covariates, str) else covariates
    if not covariates or not isinstance(covariates, list):
        return []
    if unit.get("setting") == "contractual":
        return [(at, f"found the key in a contractual unit; there it is units.{name}.retention.covariates")]
    tables = unit.get("tables")
    if isinstance(tables, dict) and "customers" not in tables:
        return [(at, f"found columns of customers, but no such table; supply [units.{name}.tables.customers]")]
    twice = [one for one in dict.fromkeys(map(str, covariates)) if list(map(str, covariates)).count(one) > 1]
    keys = [one for one in ("customer_id", "referred_by") if one in covariates]
    if twice:
        return [(at, f"found {quote(twice[0])} twice; name each column once")]
    if keys:
        return [(at, f"found {quote(keys[0])}, which names customers; name columns of a few values")]
    return []


def _table_mistakes(name: str, unit: dict[str, Any], source: Any) -> list[Mistake]:
    tables = unit.get("tables")
    if not isinstance(tables, dict):
        return []
    mistakes: list[Mistake] = []
    needed = COMPULSORY.get(str(unit.get("setting")))
    if needed and needed not in tables and not set(STANDALONE) & set(tables):
        mistakes.append(
            (("units", name, "tables"), f'found no {needed}; a unit with setting = "{unit["setting"]}" needs '
                                        f"[units.{name}.tables.{needed}]")
        )  # fmt: skip
    for table, spec in tables.items():
        at = ("units", name, "tables", table)
        if table not in CONTRACTS:
            mistakes.append((at, unknown(table, CONTRACTS, "table")))
        elif isinstance(spec, dict):
            mistakes += _place_mistakes(at, spec, source) + _column_mistakes(at, table, spec.get("columns"))
            mistakes += _channel_mistakes(at, table, spec)
    return mistakes


def _place_mistakes(at: tuple[str, ...], spec: dict[str, Any], source: Any) -> list[Mistake]:
    if "path" in spec and "table" in spec:
        return [(at, "found both path and table; give path for a file or table for a database")]
    if "path" not in spec and "table" not in spec:
        return [(at, 'missing; expected path = "FILE.parquet" (or .csv, .csv.gz), or table = "NAME" in a database')]
    if "table" in spec and isinstance(source, str) and "://" not in source:
        return [
            ((*at, "table"), f"found {quote(spec['table'])}, but the source {quote(source)} is a folder; give path, "
                             "or a connection URL as source")
        ]  # fmt: skip
    path = spec.get("path")
    if isinstance(path, str) and path and not path.lower().endswith((".parquet", ".csv", ".csv.gz")):
        return [((*at, "path"), f"found {quote(path)}; allowed are files ending in .parquet, .csv or .csv.gz")]
    return []


def _channel_mistakes(at: tuple[str, ...], table: str, spec: dict[str, Any]) -> list[Mistake]:
    """Return what stands against one column of spend per channel."""
    if not spec.get("channels"):
        return []
    if table != "media":
        return [((*at, "channels"), "found channels; only media can have one column per channel")]
    columns = spec.get("columns")
    both = sorted({"channel", "spend"} & set(columns)) if isinstance(columns, dict) else []
    if both:
        return [
            ((*at, "columns", name), "found beside channels, which says the same; give one of them") for name in both
        ]
    return []


def _column_mistakes(at: tuple[str, ...], table: str, columns: Any) -> list[Mistake]:
    contract = CONTRACTS[table]
    if not isinstance(columns, dict) or contract.open:
        return []
    return [
        ((*at, "columns", column), unknown(column, contract.names, "column"))
        for column in columns
        if column not in contract.column_by_name
    ]
