"""The study of all programs of a portfolio: measured, checked, pooled, valued, judged; and the tests to run next."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import ibis
import numpy as np
import pandas as pd

from cvmlib.portfolio import Portfolio
from cvmlib.programs import lift, next_tests, randomisation, value
from cvmlib.programs.counts import MOMENTS, count_arms
from cvmlib.programs.hurdles import add_hurdles
from cvmlib.programs.pooling import PRIOR_SCALE, Pooled, pool_lifts
from cvmlib.programs.prepared import UnitPrograms, load_unit
from cvmlib.programs.regional_study import study_regions
from cvmlib.programs.results import KEPT_DRAWS, UnitResult
from cvmlib.programs.scorecard import score_programs
from cvmlib.programs.segments import shrink_segments
from cvmlib.programs.sharpening import sharpen_lifts, widen_error
from cvmlib.programs.summary import add_reasons, sum_up


@dataclass(frozen=True)
class Settings:
    """How programs are judged.

    Parameters
    ----------
    hurdle : float, optional
        Margin asked for per unit of cost (1 is breaking even), instead of what the portfolio file asks for.
    prior_scale : float
        Size of lifts that is thought usual, as a share of what customers bring anyway.
    draws : int
        Posterior draws.
    """

    hurdle: float | None = None
    prior_scale: float = PRIOR_SCALE
    draws: int = 4_000


@dataclass(frozen=True)
class Measured:
    """Lifts and checks of one unit's programs, before pooling."""

    data: UnitPrograms
    margin: float
    lifts: pd.DataFrame
    segments: pd.DataFrame
    checks: pd.DataFrame
    conversions: pd.DataFrame
    responses: pd.Series
    valued: bool


@dataclass(frozen=True)
class Study:
    """Everything the study found.

    Parameters
    ----------
    settings : Settings
        How it judged.
    units : dict of str to UnitResult
        Results by unit.
    pooled : Pooled
        Posterior draws of the lifts in the window, programs in the order of `order`.
    order : DataFrame
        unit, program_id, measured and measured_se (lifts in money, log ratios), lift and se (the same with what
        conversions say, `cvmlib.programs.sharpening`, as pooled), worth (margin that a lift of 100% would add), cost,
        and hurdle (margin asked for per unit of cost).
    """

    settings: Settings
    units: dict[str, UnitResult]
    pooled: Pooled
    order: pd.DataFrame
    measured: dict[str, Measured] = field(repr=False)


def study_programs(portfolio: Portfolio, units: Iterable[str] | None = None, settings: Settings | None = None) -> Study:
    """Study the programs of several units together; of all that have any, when none are named.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    units : iterable of str, optional
        Names of units whose programs were prepared.
    settings : Settings, optional
        How to judge.
    """
    settings = settings or Settings()
    loaded = {name: load_unit(portfolio, name) for name in (portfolio.units if units is None else units)}
    measured = {
        name: measure_unit(data, portfolio.units[name].margin, _read_values(portfolio, name))
        for name, data in loaded.items()
        if data is not None
    }
    return judge_programs(portfolio, measured, settings)


def _read_values(portfolio: Portfolio, unit: str) -> ibis.Table | None:
    """Read what each customer of a unit is predicted to bring, unless there is nothing or it is withheld."""
    folder = portfolio.build_dir / "units" / unit
    try:
        level = json.loads((folder / "totals.json").read_text(encoding="utf-8"))["verdict"]["level"]
    except (OSError, ValueError, KeyError):
        return None
    path = folder / "value.parquet"
    if level == "withheld" or not path.is_file():
        return None
    return ibis.duckdb.connect().read_parquet(str(path)).select("customer_id", "value")


def measure_unit(data: UnitPrograms, margin: float, values: ibis.Table | None = None) -> Measured:
    """Measure lift and randomisation of one unit's programs.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs.
    margin : float
        Share of the money that is margin.
    values : ibis Table, optional
        customer_id and value: predicted margin of each customer after the end of observation, from any model.
    """
    if data.rows is None:
        return measure_counts(data, pd.DataFrame(columns=[*_KEYS, *MOMENTS]), margin)
    rows = data.rows
    if values is not None:  # both in one engine
        rows = values.get_backend().create_table(f"rows_{data.unit}", rows.to_pyarrow(), overwrite=True)
    return measure_counts(data, count_arms(rows, data.dimensions, values), margin, valued=values is not None)


_KEYS = ["program_id", "dimension", "level", "arm"]


def measure_counts(data: UnitPrograms, counts: pd.DataFrame, margin: float, *, valued: bool = False) -> Measured:
    """Measure lift and randomisation from counts alone, see `measure_unit`.

    Parameters
    ----------
    data : UnitPrograms
        The prepared programs; their customers are not looked at.
    counts : DataFrame
        From `cvmlib.programs.counts.count_arms`.
    margin : float
        Share of the money that is margin.
    valued : bool
        Whether the counts hold predicted values.
    """
    lifts = lift.measure_lift(counts, margin)
    planned = data.programs.set_index("program_id")["treated_share"]
    return Measured(
        data=data,
        margin=margin,
        lifts=lifts[lifts["dimension"] == ""].drop(columns=["dimension", "level"]),
        segments=lifts[lifts["dimension"] != ""],
        checks=randomisation.check_randomisation(counts, planned),
        conversions=lift.measure_conversion(counts),
        responses=_count_responses(counts),
        valued=valued,
    )


def _count_responses(counts: pd.DataFrame) -> pd.Series:
    """Share of the treated who converted, by program; no effect, as some would have done so untreated."""
    treated = counts[(counts["arm"] == "treated") & (counts["dimension"] == "")].set_index("program_id")
    return (treated["buyers"] / treated["customers"]).astype(float)


def judge_programs(portfolio: Portfolio, measured: dict[str, Measured], settings: Settings) -> Study:
    """Pool the lifts of all units, and judge every program.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio: interval, horizon, seed, margins.
    measured : dict of str to Measured
        By unit.
    settings : Settings
        How to judge.
    """
    asked = {name: _ask(portfolio, unit, settings.hurdle) for name, unit in measured.items()}
    order = _list_poolable(asked)
    number = order["unit"].map({name: i for i, name in enumerate(measured)}).to_numpy(int)
    pool = {
        "units": len(measured),
        "prior_scale": settings.prior_scale,
        "draws": settings.draws,
        "seed": portfolio.seed,
    }
    pooled = pool_lifts(order["lift"], order["se"], number, **pool)
    worth = order["worth"].to_numpy(float)
    money = value.value_programs(pooled, worth, order["cost"], order["hurdle"], portfolio.interval)
    order = order.reset_index(drop=True)
    found = pd.concat([order[["unit", "program_id", "worth"]], money], axis=1)
    found = found.join(_value_totals(portfolio, order, number, settings, pool))
    results = {}
    for u, (name, unit) in enumerate(asked.items()):
        mine = (order["unit"] == name).to_numpy()
        lifts = np.expm1(pooled.theta)
        draws = {row.program_id: lifts[:, i] for i, row in enumerate(order.itertuples()) if row.unit == name}
        regional, courses = study_regions(unit.data, unit.margin, portfolio.interval)
        table = _join_results(unit, found[found["unit"] == name].drop(columns="unit"), regional)
        table = add_reasons(table, unit.data.end)
        gains = value.sum_gains(_take(pooled, mine), worth[mine], portfolio.interval)
        results[name] = UnitResult(
            unit=name,
            results=table,
            segments=shrink_segments(_usable_segments(unit, table), portfolio.interval, seed=portfolio.seed),
            tests=next_tests.propose_tests(
                unit.data,
                table,
                unit.margin,
                draws,
                np.expm1(pooled.fresh[:, u]),
                portfolio.horizon_months,
            ),
            scorecard=score_programs(
                unit.data.programs, unit.data.activity, set(table.loc[table["broken"], "program_id"])
            ),
            courses=courses,
            totals=sum_up(portfolio, name, table, gains, valued=unit.valued, money=unit.data.money),
            draws=pd.DataFrame(draws).iloc[:KEPT_DRAWS],
        )
    return Study(settings, results, pooled, order, measured)


def _ask(portfolio: Portfolio, unit: Measured, hurdle: float | None) -> Measured:
    programs = add_hurdles(portfolio, unit.data.unit, unit.data.programs, hurdle)
    return replace(unit, data=replace(unit.data, programs=programs))


def _list_poolable(measured: dict[str, Measured]) -> pd.DataFrame:
    """List the lifts (log ratios) that may be pooled: of programs drawn at random and not broken."""
    frames = []
    for name, unit in measured.items():
        table = unit.data.programs.merge(unit.lifts, on="program_id", suffixes=("_drawn", ""))
        broken = set(unit.checks.loc[unit.checks["broken"], "program_id"])
        fine = (
            (lift.count_buyers(table) >= lift.FEWEST_BUYERS)
            & table["log_ratio"].notna()
            & (table["log_ratio_se"] > 0)
            & (table["design"] == "randomised")
        )
        table = table[fine & ~table["program_id"].isin(broken)]
        sharp, sharp_se = sharpen_lifts(table) if unit.data.money else (table["log_ratio"], widen_error(table))
        known = unit.margin if unit.data.money else np.nan
        frames.append(
            pd.DataFrame(
                {
                    "unit": name,
                    "program_id": table["program_id"],
                    "measured": table["log_ratio"],
                    "measured_se": widen_error(table),
                    "lift": sharp,
                    "se": sharp_se,
                    "worth": known * table["base"] * table["treated"],
                    "cost": table["cost"],
                    "hurdle": table["hurdle"],
                    "total": table["total_log_ratio"] if unit.valued else np.nan,
                    "total_se": table["total_log_ratio_se"],
                    "worth_total": table["base_total"] * table["treated"] if unit.valued else np.nan,
                }
            )
        )
    names = ["unit", "program_id", "measured", "measured_se", "lift", "se", "worth", "cost", "hurdle"]
    names += ["total", "total_se", "worth_total"]
    kept = [frame for frame in frames if len(frame)]
    empty = pd.DataFrame(columns=names).astype({name: float for name in names[2:]})
    return pd.concat(kept, ignore_index=True) if kept else empty


def _value_totals(
    portfolio: Portfolio, order: pd.DataFrame, number: np.ndarray, settings: Settings, pool: dict
) -> pd.DataFrame:
    """Pool margin in the window plus the change in predicted customer value, where a model predicts it."""
    usable = (order["total"].notna() & (order["total_se"] > 0) & (order["worth_total"] > 0)).to_numpy(bool)
    names = ["gain", "gain_low", "gain_high", "probability"]
    empty = pd.DataFrame(np.nan, index=order.index, columns=[f"total_{name}" for name in names])
    if not usable.any():
        return empty
    part = order[usable]
    pooled = pool_lifts(part["total"], part["total_se"], number[usable], **pool)
    money = value.value_programs(
        pooled, part["worth_total"].to_numpy(float), part["cost"], part["hurdle"], portfolio.interval
    )
    empty.loc[usable, :] = money[names].to_numpy()
    return empty


def _join_results(unit: Measured, found: pd.DataFrame, regional: pd.DataFrame) -> pd.DataFrame:
    """One row per program: list, lift, checks, conversions, money; regional results in the same columns."""
    conversions = unit.conversions.add_prefix("conversion_").rename(columns={"conversion_program_id": "program_id"})
    checks = unit.checks.drop(columns=["treated", "control"])
    table = unit.data.programs.merge(unit.lifts.drop(columns=["treated", "control"]), on="program_id", how="left")
    table["response"] = table["program_id"].map(unit.responses).astype(float)
    columns = list(dict.fromkeys([*found.columns, *regional.columns]))
    judged = pd.DataFrame(found.to_dict("records") + regional.to_dict("records"), columns=columns)
    texts = {"program_id", "verdict", "why_not"}
    judged = judged.astype({name: object if name in texts else float for name in columns})
    for part in (checks, conversions, judged):
        table = table.merge(part, on="program_id", how="left")
    table["broken"] = table["broken"].map(lambda value: value is True or value == 1).astype(bool)
    faults = {row.program_id: " ".join(randomisation.name_faults(row._asdict())) for row in unit.checks.itertuples()}
    table["why_not"] = table["why_not"].astype(object).where(table["why_not"].notna(), "")
    faults = [faults.get(name, "") for name in table["program_id"]]
    return table.assign(faults=faults, money=unit.data.money, valued=unit.valued)


def _usable_segments(unit: Measured, table: pd.DataFrame) -> pd.DataFrame:
    good = table.loc[(table["design"] == "randomised") & ~table["broken"], "program_id"]
    return unit.segments[unit.segments["program_id"].isin(good)]


def _take(pooled: Pooled, chosen: np.ndarray) -> Pooled:
    return replace(
        pooled, theta=pooled.theta[:, chosen], centre=pooled.centre[:, chosen], scale=pooled.scale[:, chosen]
    )
