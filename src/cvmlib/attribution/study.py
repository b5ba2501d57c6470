"""Every method of journey attribution on one unit, side by side, each with its interval or the reason why not."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.attribution import rules
from cvmlib.attribution.calibrate import calibrate, summarise_caused
from cvmlib.attribution.chain import build_chain, reweight
from cvmlib.attribution.coalitions import count_coalitions, fit_coalitions, recount, require_identified
from cvmlib.attribution.experiments import combine_tests
from cvmlib.attribution.lifecycle import count_moves, count_stages, rate_movers
from cvmlib.attribution.markov import RULES, attribute_markov, share_out, solved_effects
from cvmlib.attribution.next_tests import Economics, rank_tests
from cvmlib.attribution.order import score_orders
from cvmlib.attribution.paths import Paths
from cvmlib.attribution.posterior import draw_paths, summarise_shares
from cvmlib.attribution.prepare import UnitJourneys
from cvmlib.attribution.shapley import divide_shapley, divide_simplified
from cvmlib.errors import DataError, UnfitModelError
from cvmlib.portfolio import Portfolio

DRAWS = 400
SHAPLEY_DRAWS = 200  # each of them fits the pooled model anew
NO_CHANNEL = "no channel"
LABELS = {
    "first": "First touch",
    "last": "Last touch",
    "linear": "Linear",
    "position": "Position 40-20-40",
    "last_non_direct": "Last non-direct",
    "time_decay": "Time decay",
    "markov": "Markov",
    "shapley": "Shapley",
    "simplified": "Shapley, simplified",
    "experiment": "Experiment",
    "calibrated": "Calibrated",
}
CREDITS = ("first", "last", "linear", "position", "last_non_direct", "time_decay", "markov", "shapley", "simplified")
"""Methods that share all conversions out; the others say what was caused."""

Credit = Callable[[Paths], np.ndarray]


@dataclass(frozen=True)
class Study:
    """What was found for one unit; the frames are described where they are made.

    Parameters
    ----------
    methods : pandas.DataFrame
        method, channel, conversions, low, high, value, value_low, value_high (money), rank, rank_low, rank_high,
        same_rank; `NO_CHANNEL` is what a method leaves without a cause.
    refused : pandas.DataFrame
        method, reason.
    orders : pandas.DataFrame
        From `cvmlib.attribution.order.score_orders`.
    removals : pandas.DataFrame
        rule, channel, effect, conversions, reason: all removal rules at the chosen order.
    movers, stages : pandas.DataFrame
        From `cvmlib.attribution.lifecycle`.
    tests : pandas.DataFrame
        From `cvmlib.attribution.experiments.estimate_effects`.
    next_tests : pandas.DataFrame
        From `cvmlib.attribution.next_tests.rank_tests`; no rows when costs or experiments are missing.
    notes : dict
        order, conversions, value, nulls, paths, channels, draws, interval, source, tested.
    """

    methods: pd.DataFrame
    refused: pd.DataFrame
    orders: pd.DataFrame
    removals: pd.DataFrame
    movers: pd.DataFrame
    stages: pd.DataFrame
    tests: pd.DataFrame
    next_tests: pd.DataFrame
    notes: dict


def study_unit(portfolio: Portfolio, data: UnitJourneys, draws: int = DRAWS) -> Study:
    """Apply every method to a unit's journeys.

    Parameters
    ----------
    portfolio : Portfolio
        Seed, interval, and the unit's margin.
    data : UnitJourneys
        The journeys.
    draws : int
        Draws of the Bayesian bootstrap.

    Raises
    ------
    UnfitModelError
        When nothing converted.
    """
    paths, seed = data.paths, portfolio.seed
    if paths.conversions.sum() <= 0:
        raise UnfitModelError(
            f"{data.unit.label}: none of {int(paths.nulls.sum()):,} journeys converted, so there is "
            "nothing to attribute."
        )
    orders = score_orders(paths, seed=seed)
    order = int(orders.loc[orders["chosen"], "order"].iloc[0])
    credits, refused = list_credits(paths, order, data.unit.journeys.direct)
    tables = draw_credits(paths, credits, draws, seed, portfolio.interval)
    tests = combine_tests(data.tests)
    base = next(table for name in ("markov", "linear") for table in tables if table["method"].iloc[0] == name)
    next_tests = pd.DataFrame()
    try:
        caused, next_tests = _calibrate(portfolio, data, base, tests)
        tables += [_tabulate_tests(tests, portfolio.interval), caused]
    except UnfitModelError as error:
        refused["calibrated"] = str(error)
    notes = {
        "order": order, "draws": draws, "interval": portfolio.interval, "source": data.source, "paths": len(paths),
        "conversions": float(paths.conversions.sum()), "nulls": float(paths.nulls.sum()),
        "value": float(paths.value.sum()), "channels": list(paths.channels), "tested": list(tests["channel"]),
        "days": None if np.isnan(data.days) else data.days,
    }  # fmt: skip
    return Study(
        methods=pd.concat(tables, ignore_index=True),
        refused=pd.DataFrame(list(refused.items()), columns=["method", "reason"]),
        orders=orders,
        removals=compare_removals(paths, order),
        movers=rate_movers(count_moves(data.by_kind, data.kinds), portfolio.interval),
        stages=count_stages(data.by_kind, data.kinds),
        tests=data.tests,
        next_tests=next_tests,
        notes=notes,
    )


def list_credits(paths: Paths, order: int, direct: list[str]) -> tuple[dict[str, Credit], dict[str, str]]:
    """List the methods that share out all conversions: a function of reweighted paths each, and the refused ones.

    Returns
    -------
    credits : dict of str to function
        From paths (of the same touches) to shares of conversions and of value, shape (2, channels).
    refused : dict of str to str
        Why a method cannot be used on these journeys.
    """
    credits: dict[str, Credit] = {}
    refused: dict[str, str] = {}
    for rule in rules.RULES:
        try:
            divided = rules.divide(paths, rule, direct)
            credits[rule] = lambda p, divided=divided: np.stack([divided @ p.conversions, divided @ p.value])
        except UnfitModelError as error:
            refused[rule] = str(error)
    coalitions = count_coalitions(paths)
    equal = divide_simplified(coalitions)
    credits["simplified"] = lambda p: _of_coalitions(recount(coalitions, p), equal)
    try:
        require_identified(coalitions)
    except UnfitModelError as error:
        refused |= {"shapley": str(error)}
    else:
        start = fit_coalitions(coalitions)
        credits["shapley"] = lambda p: _shapley(recount(coalitions, p), start)
    chain, walk = build_chain(paths, order)
    if len(paths.channels) == 1:
        refused["markov"] = refused["shapley"]
    elif paths.nulls.sum() <= 0:
        refused["markov"] = (
            "All journeys converted: without those that did not, removing a channel says how many journeys use it and "
            "nothing of what it does. Supply the journeys without a conversion too."
        )
    else:
        credits["markov"] = lambda p: solved_effects(reweight(chain, walk, p), "to_null", 1e-9)
    return credits, refused


def _of_coalitions(coalitions: object, divided: np.ndarray) -> np.ndarray:
    return np.stack([coalitions.conversions @ divided, coalitions.value @ divided])


def _shapley(coalitions: object, start: object) -> np.ndarray:
    return _of_coalitions(coalitions, divide_shapley(coalitions, fit_coalitions(coalitions, start)))


def draw_credits(
    paths: Paths, credits: dict[str, Credit], draws: int, seed: int, interval: float
) -> list[pd.DataFrame]:
    """Credit every channel by every method, with intervals from one Bayesian bootstrap of the journeys.

    Returns
    -------
    list of pandas.DataFrame
        One per method, see `Study.methods`.
    """
    totals = np.array([paths.conversions.sum(), paths.value.sum()])
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in credits}
    for number, sample in enumerate(draw_paths(paths, draws, np.random.default_rng(seed))):
        for name, credit in credits.items():
            if name != "shapley" or number < SHAPLEY_DRAWS:
                drawn[name].append(_as_shares(credit(sample)))
    tables = []
    for name, credit in credits.items():
        point, shares = _as_shares(credit(paths)), np.stack(drawn[name])
        conversions, value = (summarise_shares(paths.channels, point[i], shares[:, i], interval) for i in (0, 1))
        table = conversions[["channel", "rank", "rank_low", "rank_high", "same_rank"]]
        table = table.assign(method=name)
        for column, source in (("conversions", "share"), ("low", "low"), ("high", "high")):
            table[column] = conversions[source] * totals[0]
        for column, source in (("value", "share"), ("value_low", "low"), ("value_high", "high")):
            table[column] = value[source] * totals[1]
        tables.append(table)
    return tables


def _as_shares(credit: np.ndarray) -> np.ndarray:
    return np.stack([share_out(part, 1.0)[0] for part in credit])


def _calibrate(
    portfolio: Portfolio, data: UnitJourneys, base: pd.DataFrame, tests: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was caused, by the tests and the credit of one method; and the tests to run next."""
    direct = data.unit.journeys.direct
    channels = tuple(base["channel"])
    parts, posteriors = {}, {}
    totals = {"conversions": float(data.paths.conversions.sum()), "value": float(data.paths.value.sum())}
    for measure, total in totals.items():
        found = calibrate(channels, base[measure].to_numpy(), tests, measure, direct, seed=portfolio.seed)
        posteriors[measure] = found
        parts[measure] = summarise_caused(found, portfolio.interval)
        rest = total - found.draws.sum(axis=1)
        low, high = np.quantile(rest, [(1 - portfolio.interval) / 2, (1 + portfolio.interval) / 2])
        parts[measure].loc[len(channels)] = [NO_CHANNEL, False, rest.mean(), low, high, 1.0]
    table = parts["conversions"].rename(columns={"caused": "conversions"}).drop(columns="tested")
    value = parts["value"]
    marketing = ~table["channel"].str.lower().isin([name.lower() for name in direct])
    table = table.assign(method="calibrated", value=value["caused"], value_low=value["low"], value_high=value["high"])
    return table[marketing], _rank_tests(portfolio, data, posteriors["value"])


def _rank_tests(portfolio: Portfolio, data: UnitJourneys, caused: object) -> pd.DataFrame:
    cost = data.kinds.groupby("name")["cost"].sum().reindex(list(caused.channels)).to_numpy(float)
    customers = float(data.tests["customers"].max())
    paths = data.paths
    noise = np.sqrt(max(paths.value_sq.sum(), 0.0) / max(customers, 1.0))
    return rank_tests(caused, Economics(cost, data.unit.margin, data.days, noise, customers), seed=portfolio.seed)


def _tabulate_tests(tests: pd.DataFrame, interval: float) -> pd.DataFrame:
    from scipy import stats

    z = stats.norm.ppf((1 + interval) / 2)
    return tests[["channel", "conversions", "value"]].assign(
        method="experiment",
        low=tests["conversions"] - z * tests["conversions_se"],
        high=tests["conversions"] + z * tests["conversions_se"],
        value_low=tests["value"] - z * tests["value_se"],
        value_high=tests["value"] + z * tests["value_se"],
    )


def compare_removals(paths: Paths, order: int) -> pd.DataFrame:
    """Apply every removal rule at one order: rule, channel, effect, conversions, reason."""
    parts = []
    chain, _ = build_chain(paths, order)
    for rule in RULES:
        found = attribute_markov(paths, order, rule, chain)
        columns = {"rule": rule, "channel": found.channels, "effect": found.effect, "conversions": found.conversions}
        parts.append(pd.DataFrame(columns | {"reason": found.reason}))
    return pd.concat(parts, ignore_index=True)


_FRAMES = ("methods", "refused", "orders", "removals", "movers", "stages", "tests", "next_tests")


def save_study(data: UnitJourneys, study: Study) -> list[Path]:
    """Write a study to the unit's folder."""
    written = []
    for name in _FRAMES:
        path = data.folder / f"attribution_{name}.parquet"
        getattr(study, name).to_parquet(path, index=False)
        written.append(path)
    path = data.folder / "attribution.json"
    path.write_text(json.dumps(study.notes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*written, path]


def load_study(folder: Path) -> Study:
    """Read what `save_study` wrote.

    Raises
    ------
    DataError
        When there is nothing to read.
    """
    path = folder / "attribution.json"
    if not path.is_file():
        raise DataError(f"{path.name} is missing: run notebooks/models/journeys.ipynb first, or make reports.")
    frames = {name: pd.read_parquet(folder / f"attribution_{name}.parquet") for name in _FRAMES}
    return Study(**frames, notes=json.loads(path.read_text(encoding="utf-8")))
