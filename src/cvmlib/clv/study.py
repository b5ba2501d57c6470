"""The customer-value study of a portfolio: what `notebooks/models/clv.ipynb` does, step by step.

All non-contractual units are fitted together, once on the calibration (to be tested on the holdout) and once on the
whole history (to forecast). What is saved is all that the report notebooks read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cvmlib import inference
from cvmlib.clv import acquisition, opportunities, purchase_model, spend_model, timing, value
from cvmlib.clv.ahead import DAYS_PER_YEAR, Ahead, Outlook, month_edges
from cvmlib.clv.calendar import Calendar, estimate_calendars, plain_calendar, read_history
from cvmlib.clv.choice import Choice, choose_families, join_choices
from cvmlib.clv.covariates import read_pattern
from cvmlib.clv.expectation import probability_alive_later
from cvmlib.clv.families.registry import BG_BB
from cvmlib.clv.predictive import purchase_probabilities
from cvmlib.clv.prepare import UnitBase, load_unit, unit_folder
from cvmlib.errors import UnfitModelError
from cvmlib.periods import last_period
from cvmlib.portfolio import Portfolio

#: Added to the portfolio's seed, so that each simulation has a stream of its own.
_SEED_HOLDOUT, _SEED_FORECAST, _SEED_CALENDAR, _SEED_NEWCOMER = 1, 2, 3, 4
#: Draws for the scores of the holdout of the models that are compared.
_SCORE_DRAWS = 200


@dataclass(frozen=True)
class Models:
    """Calendars, purchase and spend models fitted to one set of counts; purchase models live in operational time.

    Parameters
    ----------
    choice : Choice
        Which purchase model each unit has, and why.
    purchases : mapping of str to PurchaseFit
        The fit of the unit's model, by unit; each is a fit to all units of the pools in which some unit has it.
    spend : SpendFit
        The spend model.
    calendars : mapping of str to Calendar
        By unit.
    """

    choice: Choice
    purchases: Mapping[str, purchase_model.PurchaseFit]
    spend: spend_model.SpendFit
    calendars: Mapping[str, Calendar]

    @property
    def fits(self) -> dict[str, purchase_model.PurchaseFit]:
        """Every purchase model that some unit has, by the name of its family."""
        return {fit.family.name: fit for fit in self.purchases.values()}

    @property
    def passed(self) -> bool:
        """Whether all fits passed the diagnostics gate."""
        diagnostics = [*(fit.diagnostics for fit in self.fits.values()), self.spend.diagnostics]
        return all(one is None or one.passed for one in diagnostics)


def read_bases(portfolio: Portfolio, units: Sequence[str] | None = None) -> dict[str, UnitBase]:
    """Load the prepared non-contractual units whose checks allow a value, by name.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    units : sequence of str, optional
        The units to load; by default all that are prepared.

    Raises
    ------
    UnfitModelError
        No unit is prepared.
    """
    names = [name for name, unit in portfolio.units.items() if unit.setting == "noncontractual"]
    names = names if units is None else [name for name in names if name in units]
    found = {
        name: load_unit(portfolio, name) for name in names if (unit_folder(portfolio, name) / "base.json").exists()
    }
    bases = {name: base for name, base in found.items() if not base.checks.fatal and "value" not in base.checks.blocked}
    if not bases:
        raise UnfitModelError("No non-contractual unit has usable tables; `cvm check` says what to mend.")
    return bases


def fit_models(
    portfolio: Portfolio,
    bases: Mapping[str, UnitBase],
    *,
    calibration: bool = False,
    calendar: bool = True,
    like: Models | None = None,
) -> Models | None:
    """Estimate the calendars, choose the purchase models, and fit them and the spend model to all units together.

    Parameters
    ----------
    portfolio : Portfolio
        For the purchase models to choose from, the lengths of sampling and the seed.
    bases : mapping of str to UnitBase
        The units.
    calibration : bool
        Fit what was known at the end of the calibration; units without one are left out.
    calendar : bool
        Estimate each unit's calendar; without it, operational time is time.
    like : Models, optional
        Models of the calibration: a unit of theirs gets the same purchase model, so that the model that is used is the
        one that was tested.

    Returns
    -------
    Models, or None when no unit has a calibration.
    """
    used = [base for base in bases.values() if not calibration or base.calibration is not None]
    if not used:
        return None
    settings = portfolio.sampling
    sampling = inference.Sampling(**settings.model_dump(), seed=portfolio.seed)
    rows = {base.unit.name: base.count_rows(calibration=calibration) for base in used}
    spend = pd.concat([base.count_rows(calibration=calibration, spend=True) for base in used], ignore_index=True)
    pools = {base.unit.name: base.pool for base in used}
    calendars = _set_clocks(portfolio, used, rows, calibration, calendar)
    chosen = _choose(portfolio, used, calendars, calibration, like)
    converted = pd.concat([calendars[name].convert(table) for name, table in rows.items()], ignore_index=True)
    covariates = {base.unit.name: base.covariates.columns for base in used}
    fits = {}
    for family in {family.name: family for family in chosen.families.values()}.values():
        # Units of other pools have no say in it.
        members = {pools[name] for name in rows if chosen.families[name].name == family.name}
        those = converted[converted["unit"].map(pools).isin(members)]
        stages = dict(chosen.stages) if family.constant else None
        fits[family.name] = purchase_model.fit(those, sampling, pools, family, stages, covariates)
    purchases = {name: fits[chosen.families[name].name] for name in rows}
    return Models(chosen, purchases, spend_model.fit(spend, sampling, pools), calendars)


def _choose(
    portfolio: Portfolio,
    used: Sequence[UnitBase],
    calendars: Mapping[str, Calendar],
    calibration: bool,
    like: Models | None,
) -> Choice:
    """Choose the models of the units that have none in `like`."""
    known = {base.unit.name for base in used} & set(like.choice.families) if like else set()
    rows, log_gaps, horizons = {}, {}, {}
    by_opportunity = [base for base in used if base.unit.opportunity]
    fixed = Choice(
        {base.unit.name: BG_BB for base in by_opportunity},
        {base.unit.name: 1 for base in by_opportunity},
        {base.unit.name: opportunities.explain_choice(base.unit.opportunity) for base in by_opportunity},
    )
    for base in used:
        name, clock = base.unit.name, calendars[base.unit.name]
        if name in known or base.unit.opportunity:
            continue
        rows[name] = clock.convert(base.count_rows(calibration=calibration, holdout=calibration))
        log_gaps[name] = clock.sum_log_gaps(base.gap_pairs(calibration=calibration))
        if calibration:
            horizons[name] = clock.ahead(days_ahead(portfolio, base, True)[-1:], _SCORE_DRAWS)[:, 0]
    new = None
    if rows:
        settings = portfolio.sampling
        sampling = inference.Sampling(**settings.model_dump() | {"quick": False}, seed=portfolio.seed)
        pools = {base.unit.name: base.pool for base in used if base.unit.name in rows}
        new = choose_families(rows, log_gaps, portfolio.purchase_models, sampling, horizons=horizons, pools=pools)
    return join_choices(
        [choice for choice in (like and like.choice, new, fixed) if choice], [base.unit.name for base in used]
    )


def _set_clocks(
    portfolio: Portfolio,
    used: Sequence[UnitBase],
    rows: Mapping[str, pd.DataFrame],
    calibration: bool,
    calendar: bool,
) -> dict[str, Calendar]:
    """Calendars of the units, estimated unless they count opportunities (or no `calendar` is wanted)."""
    horizon = max(days_ahead(portfolio, base, calibration)[-1] for base in used)
    found, histories = {}, {}
    for base in used:
        name, now = base.unit.name, last_seen(base, calibration)
        if base.unit.opportunity:
            first = (now - pd.Timedelta(days=float(rows[name]["T"].max()))).date()
            found[name] = opportunities.clock_opportunities(now, first, horizon, base.unit.opportunity)
        elif calendar:
            histories[name] = read_history(base.purchases, rows[name], now)
        else:
            found[name] = plain_calendar()
    pools = {base.unit.name: base.pool for base in used}
    found |= estimate_calendars(histories, horizon, pools=pools, seed=portfolio.seed + _SEED_CALENDAR)
    return {base.unit.name: found[base.unit.name] for base in used}


def last_seen(base: UnitBase, calibration: bool) -> pd.Timestamp:
    """Start of the last period that the models have seen."""
    return pd.Timestamp(last_period(base.calibration_end, base.time_unit)) if calibration else base.now


def days_ahead(portfolio: Portfolio, base: UnitBase, calibration: bool) -> np.ndarray:
    """Days from the end of what the models have seen to the ends of the months ahead, 0 first."""
    start = last_seen(base, calibration)
    return month_edges(start, base.now if calibration else start + pd.DateOffset(months=portfolio.horizon_months))


def predict_unit(
    portfolio: Portfolio, base: UnitBase, models: Models, *, calibration: bool = False
) -> value.Prediction:
    """Predict one unit: the horizon ahead, or with `calibration` the holdout."""
    name = base.unit.name
    rows = base.count_rows(calibration=calibration, spend=True, holdout=calibration)
    outlook, purchases = look_ahead(portfolio, base, models, calibration=calibration)
    prediction = value.predict_patterns(
        models.calendars[name].convert(rows),
        purchases,
        outlook.spend,
        state_terms(portfolio, base),
        outlook.ahead,
        seed=portfolio.seed + (_SEED_HOLDOUT if calibration else _SEED_FORECAST),
    )
    kept = prediction.rows.assign(recency=rows["recency"], T=rows["T"])
    return replace(
        prediction, rows=kept if calibration else kept.assign(**_look_further(portfolio, base, models, rows))
    )


def look_ahead(
    portfolio: Portfolio, base: UnitBase, models: Models, *, calibration: bool = False
) -> tuple[Outlook, dict[str, purchase_model.Draws]]:
    """Draws of one unit for what is ahead: the horizon, or the holdout; and those of each pattern of its customers."""
    name, days = base.unit.name, days_ahead(portfolio, base, calibration)
    fit = models.purchases[name]
    purchase = fit.draws(name) if not base.covariates.used else next(iter(fit.draws_by_pattern(name).values()))
    ahead = Ahead(models.calendars[name].ahead(days, len(purchase)), days)
    return Outlook(purchase, models.spend.draws(name, len(purchase)), ahead), fit.draws_by_pattern(name)


def _look_further(portfolio: Portfolio, base: UnitBase, models: Models, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """P(alive) at the horizon, and the expected discounted value beyond it, of a customer of each row."""
    outlook, purchases = look_ahead(portfolio, base, models)
    counts, whole = models.calendars[base.unit.name].convert(rows), outlook.ahead
    ends = Ahead(whole.edges[:, [0, -1]], whole.days[[0, -1]])
    alive, beyond = np.empty(len(rows)), np.empty(len(rows))
    for pattern, places in rows.groupby("pattern").indices.items():
        mine, purchase = counts.iloc[places], purchases[pattern]
        alive[places] = probability_alive_later(purchase, ends, mine)[:, -1]
        beyond[places] = value.residual(mine, purchase, outlook.spend, state_terms(portfolio, base), whole)
    return {"p_alive_later": alive, "residual": beyond}


def count_buyers(portfolio: Portfolio, base: UnitBase, models: Models, most: int = 5) -> list[float]:
    """Expected number of customers who make 0, 1, …, `most` purchases in the horizon, and of those who make more."""
    outlook, purchases = look_ahead(portfolio, base, models)
    ahead = Ahead(outlook.ahead.edges[:, [0, -1]], outlook.ahead.days[[0, -1]])
    rows = models.calendars[base.unit.name].convert(base.count_rows())
    customers = np.zeros(most + 1)
    for pattern, mine in rows.groupby("pattern"):
        chances = purchase_probabilities(purchases[pattern], ahead, mine, most, seed=portfolio.seed, samples=1000)
        customers += mine["customers"].to_numpy(dtype=float) @ chances
    return [*customers.tolist(), float(rows["customers"].sum() - customers.sum())]


def state_terms(portfolio: Portfolio, base: UnitBase) -> value.Terms:
    """Margin, returns, costs and discounting of one unit."""
    return value.Terms(
        discount_rate=portfolio.discount_rate,
        margin=base.unit.margin,
        returned_share=base.returns.share,
        returned_share_sd=base.returns.share_sd,
        returned_noise=base.returns.noise,
        per_transaction=base.unit.costs.per_transaction,
        per_customer_year=base.unit.costs.per_customer_year,
        interval=portfolio.interval,
    )


def value_newcomers(portfolio: Portfolio, base: UnitBase, models: Models) -> list[dict[str, object]]:
    """Value customers of the unit who are won today, over the horizon: the most that winning one may cost.

    Returns
    -------
    list of dict
        The fields of `cvmlib.clv.acquisition.NewCustomer`, with ``covariate`` and ``level``: first, with both empty,
        of customers like those won in the last year; then of each level of each covariate.
    """
    outlook, purchases = look_ahead(portfolio, base, models)
    rows = base.count_rows()
    new = rows[rows["T"] <= DAYS_PER_YEAR]
    shares = (new if len(new) else rows).groupby("pattern")["customers"].sum()
    groups = [("", "", list(shares.index))]
    for place, covariate in enumerate(base.covariates.used):
        for level in covariate.levels:
            patterns = [pattern for pattern in shares.index if read_pattern(pattern)[place] == level]
            groups += [(covariate.column, level, patterns)] if patterns else []
    return [
        {"covariate": column, "level": level}
        | vars(
            acquisition.value_of_new(
                [(float(shares[pattern]), purchases[pattern]) for pattern in patterns],
                outlook.spend,
                state_terms(portfolio, base),
                outlook.ahead,
                seed=portfolio.seed + _SEED_NEWCOMER,
            )
        )
        for column, level, patterns in groups
    ]


def compare_regularity(bases: Mapping[str, UnitBase]) -> pd.DataFrame:
    """Tabulate how regularly the customers of each unit buy: estimated Erlang shape with its 90% interval."""
    gaps = {name: base.gaps for name, base in bases.items()}
    found = {name: timing.estimate_regularity(table) for name, table in gaps.items() if table is not None}
    rows = [{"unit": name, **r.as_dict()} for name, r in found.items() if r is not None]
    return pd.DataFrame(rows, columns=["unit", "k", "low", "high", "customers"])


def count_bases(bases: Mapping[str, UnitBase]) -> pd.DataFrame:
    """Tabulate what the models see of each unit: customers, repeat buyers, count rows and the mean age in days."""
    rows = []
    for name, base in bases.items():
        table = base.count_rows()
        n = table["customers"]
        rows.append(
            {
                "unit": name,
                "customers": int(n.sum()),
                "repeat_buyers": int(n[table["frequency"] > 0].sum()),
                "count_rows": len(table),
                "mean_frequency": float(np.average(table["frequency"], weights=n)),
                "mean_age_days": float(np.average(table["T"], weights=n)),
            }
        )
    return pd.DataFrame(rows)
