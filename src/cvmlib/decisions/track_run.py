"""Forecasts of a run, or of a replay, in the form in which they are filed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from cvmlib import periods
from cvmlib.churn import fit as churn_fit
from cvmlib.churn import prepare as churn_prepare
from cvmlib.churn.value import tabulate_forecast
from cvmlib.clv import study
from cvmlib.clv.ahead import Ahead
from cvmlib.clv.live import Live, load_live, take_live
from cvmlib.clv.prepare import load_unit, prepare_unit
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.value import predict_patterns
from cvmlib.decisions.plan_results import has_plan, load_plan
from cvmlib.decisions.track_record import CLASSES, COLUMNS, file_forecasts, find_end, in_group
from cvmlib.errors import ConfigError, UnfitModelError
from cvmlib.portfolio import Portfolio

_FEW = 8  # draws of the means, which are not used here
MONTHS = (3, 6, 12)
"""Months ahead of the forecasts that are filed, as far as the horizon goes."""


def file_run(portfolio: Portfolio, units: Iterable[str] | None = None) -> pd.DataFrame:
    """File the forecasts of the fitted units, from their saved posteriors.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    units : iterable of str, optional
        Names of units; all that have been fitted when none are named.

    Returns
    -------
    DataFrame
        What was filed: `cvmlib.decisions.track_record.COLUMNS`.
    """
    parts = [pd.DataFrame(columns=COLUMNS)]
    for name in units or portfolio.units:
        folder = portfolio.build_dir / "units" / name
        buying = portfolio.units[name].setting == "noncontractual"
        if not (folder / ("live.nc" if buying else "forecast.parquet")).is_file():
            continue
        if buying:
            base = load_unit(portfolio, name)
            table = forecast_buyers(load_live(portfolio, name), base.count_rows(spend=True), base.end, portfolio)
        else:
            end = churn_prepare.load_unit(portfolio, name).checks.end_of_observation
            table = forecast_subscribers(pd.read_parquet(folder / "forecast.parquet"), end, portfolio)
        table = pd.concat([table, _promise_actions(portfolio, name, table["made_on"].iloc[0])], ignore_index=True)
        table = table.assign(unit=name, interval=portfolio.interval, replayed=False)[COLUMNS]
        file_forecasts(portfolio, name, table)
        parts.append(table)
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def forecast_buyers(live: Live, rows: pd.DataFrame, end: date, portfolio: Portfolio) -> pd.DataFrame:
    """Forecast purchases and money of a unit's customers: of all, by repeat purchases, and by when they joined.

    Parameters
    ----------
    live : Live
        The posterior.
    rows : DataFrame
        Count rows with the spend, in calendar days.
    end : date
        End of observation.
    portfolio : Portfolio
        Horizon, interval and seed.

    Returns
    -------
    DataFrame
        made_on, quantity, group, months, ends, mean, low, high.
    """
    count = min(len(draws) for draws in live.purchases.values())
    purchases = {
        pattern: Draws(draws.family, tuple(values[:count] for values in draws.values))
        for pattern, draws in live.purchases.items()
    }
    spend = SpendDraws(live.spend.p[:count], live.spend.q[:count], live.spend.gamma[:count])
    calendar = replace(live.calendar, paths=live.calendar.paths[:count])
    terms = replace(live.terms, discount_rate=0.0, margin=1.0, returned_share=0.0, returned_share_sd=0.0,
                    returned_noise=0.0, per_transaction=0.0, per_customer_year=0.0)  # fmt: skip
    joined = live.now.normalize() - pd.to_timedelta(rows["T"].round(), unit="D")
    found, length = [], periods.MONTHS.get(live.time_unit, 1)
    for months in (number for number in _months(portfolio) if number % length == 0):
        days = replace(live, months=months).days()[[0, -1]]
        ahead = Ahead(calendar.ahead(days, count), days)
        drawn = {}
        for place, group in enumerate([*CLASSES, *_cohorts(rows, joined)]):
            part = rows[in_group(group, rows["frequency"], joined)].reset_index(drop=True)
            if part.empty:
                continue
            seed = portfolio.seed + 100 * months + place
            one = predict_patterns(calendar.convert(part), purchases, spend, terms, ahead, seed=seed, mean_draws=_FEW)
            drawn[group] = {"purchases": one.purchases, "spend": one.value}
        shortest = min(len(one["purchases"]) for one in drawn.values())
        for quantity in ("purchases", "spend"):
            whole = np.sum([drawn[group][quantity][:shortest] for group in CLASSES if group in drawn], axis=0)
            groups = {"all": whole} | {group: one[quantity] for group, one in drawn.items()}
            found += [_row(end, quantity, group, months, draws, portfolio) for group, draws in groups.items()]
    return pd.DataFrame(found)


def _cohorts(rows: pd.DataFrame, joined: pd.Series) -> list[str]:
    """Thirds of the customers by the day on which they joined, as groups of forecasts; none of them without days."""
    order = np.argsort(joined.to_numpy(), kind="stable")
    share = rows["customers"].to_numpy(float)[order].cumsum() / rows["customers"].sum()
    days = joined.to_numpy()[order]
    ends = sorted({pd.Timestamp(days[min(np.searchsorted(share, cut), len(days) - 1)]) for cut in (1 / 3, 2 / 3, 1.0)})
    first, names = joined.min(), []
    for last in ends:
        names.append(f"joined {first.date()} to {last.date()}")
        first = last + pd.Timedelta(days=1)
    return names if len(names) > 1 else []


def forecast_subscribers(forecast: pd.DataFrame, end: date, portfolio: Portfolio) -> pd.DataFrame:
    """Take the forecasts of a contractual unit from its table by month (`cvmlib.churn.value.tabulate_forecast`)."""
    rows = []
    for months in _months(portfolio):
        if months > len(forecast):
            continue
        row = forecast.iloc[months - 1]
        for quantity in ("active", "revenue"):
            values = dict(zip(("mean", "low", "high"), (row[quantity], row[f"{quantity}_low"], row[f"{quantity}_high"]),
                              strict=True))  # fmt: skip
            rows.append(_dates(end, months) | {"quantity": quantity, "group": "all"} | values)
    return pd.DataFrame(rows)


def replay(
    portfolio: Portfolio, dates: Sequence[date], units: Iterable[str] | None = None, quick: bool = False
) -> pd.DataFrame:
    """Forget what came after each of some days, fit, and file the forecasts of that day.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    dates : sequence of date
        Ends of observation to go back to.
    units : iterable of str, optional
        Names of units; all when none are named.
    quick : bool
        Only a quick look at the posteriors, whatever the portfolio file says.

    Returns
    -------
    DataFrame
        What was filed.

    Raises
    ------
    UnfitModelError
        Nothing can be fitted on one of the days.
    """
    names, parts = list(units or portfolio.units), []
    for day in dates:
        cut = cut_portfolio(portfolio, day, quick)
        for buying, forecast in ((True, _replay_buyers), (False, _replay_subscribers)):
            mine = [name for name in names if (portfolio.units[name].setting == "noncontractual") == buying]
            for name, table in forecast(cut, mine).items() if mine else ():
                table = table.assign(unit=name, interval=portfolio.interval, replayed=True)[COLUMNS]
                file_forecasts(portfolio, name, table)
                parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def cut_portfolio(portfolio: Portfolio, day: date, quick: bool = False) -> Portfolio:
    """Return the portfolio as of a day, with a build folder of its own."""
    path = portfolio.path.with_name(f"{portfolio.slug}@{day.isoformat()}.toml")
    sampling = portfolio.sampling.model_copy(update={"quick": True}) if quick else portfolio.sampling
    changes = {"end_of_observation": day, "holdout_months": 0, "path": path, "sampling": sampling}
    return portfolio.model_copy(update=changes)


def last_day(portfolio: Portfolio, unit: str) -> date:
    """Last day that the tables of a unit reach; counts the unit if it has not been counted yet."""
    if find_end(portfolio, unit) is None:
        buying = portfolio.units[unit].setting == "noncontractual"
        (prepare_unit if buying else churn_prepare.prepare_unit)(portfolio, unit)
    return find_end(portfolio, unit)


def list_dates(first: date, last: date, every: str = "") -> list[date]:
    """Days to go back to: the first alone, or every month, quarter or year from it on, before the last.

    Raises
    ------
    ConfigError
        The first is not before the last, or `every` is unknown.
    """
    steps = {"month": 1, "quarter": 3, "year": 12}
    if every and every not in steps:
        raise ConfigError(f"--every: found {every!r}; expected one of {', '.join(steps)}.")
    if first >= last:
        raise ConfigError(f"--as-of: found {first}; expected a day before the end of observation, {last}.")
    whole = (pd.Timestamp(first) + pd.Timedelta(days=1)).day == 1  # month ends stay month ends
    days, step = [first], 0
    while every and days[-1] < last:
        step += steps[every]
        start = pd.Timestamp(first) + pd.Timedelta(days=1) if whole else pd.Timestamp(first)
        day = start + pd.DateOffset(months=step) - pd.Timedelta(days=1 if whole else 0)
        days.append(day.date())
    return [day for day in days if day < last]


def _replay_buyers(cut: Portfolio, names: list[str]) -> dict[str, pd.DataFrame]:
    for name in names:
        prepare_unit(cut, name)
    bases = study.read_bases(cut, names)
    models = study.fit_models(cut, bases)
    if models is None:
        raise UnfitModelError(f"Nothing can be fitted as of {cut.end_of_observation}.")
    return {
        name: forecast_buyers(take_live(cut, base, models), base.count_rows(spend=True), base.end, cut)
        for name, base in bases.items()
    }


def _replay_subscribers(cut: Portfolio, names: list[str]) -> dict[str, pd.DataFrame]:
    for name in names:
        churn_prepare.prepare_unit(cut, name)
    fits = churn_fit.fit_units(cut, churn_prepare.load_units(cut, names))
    return {
        name: forecast_subscribers(
            tabulate_forecast(fit.forecast, fit.subscribers.end_month, cut.interval), cut.end_of_observation, cut
        )
        for name, fit in fits.items()
    }


def _promise_actions(portfolio: Portfolio, unit: str, made_on: str) -> pd.DataFrame:
    """What the plan promised of each action, before its cost; settled by a program named ACTION-DATE."""
    if not has_plan(portfolio, unit):
        return pd.DataFrame()
    plan = load_plan(portfolio, unit)
    taken = plan.actions[plan.actions["contacts"].fillna(0) > 0]
    end = pd.Timestamp(made_on)
    rows = []
    for row in taken.to_dict("records"):
        window = plan.totals["windows"][row["action"]]
        ends = (end + pd.Timedelta(days=plan.totals["period_days"] + window)).date().isoformat()
        values = {name: row[column] + row["cost"] for name, column in
                  (("mean", "value"), ("low", "value_low"), ("high", "value_high"))}  # fmt: skip
        months = round((plan.totals["period_days"] + window) / 30.4)
        rows.append({"made_on": made_on, "quantity": "action", "group": row["action"], "months": months,
                     "ends": ends} | values)  # fmt: skip
    return pd.DataFrame(rows)


def _months(portfolio: Portfolio) -> list[int]:
    return [months for months in MONTHS if months <= portfolio.horizon_months] or [portfolio.horizon_months]


def _dates(end: date, months: int) -> dict[str, str | int]:
    after = pd.Timestamp(end) + pd.Timedelta(days=1) + pd.DateOffset(months=months) - pd.Timedelta(days=1)
    return {"made_on": end.isoformat(), "months": months, "ends": after.date().isoformat()}


def _row(end: date, quantity: str, group: str, months: int, draws: np.ndarray, portfolio: Portfolio) -> dict:
    low, high = np.quantile(draws, [(1 - portfolio.interval) / 2, (1 + portfolio.interval) / 2])
    found = {"quantity": quantity, "group": group, "mean": float(draws.mean()), "low": float(low), "high": float(high)}
    return _dates(end, months) | found
