"""What drives leaving: the retention models of all contractual units, chosen, tabulated and saved for the reports."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cvmlib import inference, provenance
from cvmlib.churn import comparison, outlook
from cvmlib.churn.prepare import UnitSubscribers, lay_out_units, unit_folder
from cvmlib.churn.retention_model import TITLES, RetentionFit, fit_all
from cvmlib.errors import DataError
from cvmlib.inference import Sampling
from cvmlib.portfolio import Portfolio
from cvmlib.tables.sources import source_fingerprint

TOO_FEW_LEAVERS = 20


@dataclass(frozen=True)
class PoolFit:
    """The retention models of the units of one pool.

    Parameters
    ----------
    pool : str
        Name of the pool.
    units : tuple of str
        Its units.
    fits : dict of str to RetentionFit
        Every model, by name.
    ranked, chosen : pandas.DataFrame
        From `cvmlib.churn.comparison.rank` and `choose`.
    """

    pool: str
    units: tuple[str, ...]
    fits: dict[str, RetentionFit]
    ranked: pd.DataFrame
    chosen: pd.DataFrame

    def best(self, unit: str) -> RetentionFit:
        """Return the model chosen for a unit."""
        title = self.chosen.set_index("unit").loc[unit, "model"]
        return next(fit for name, fit in self.fits.items() if TITLES[name] == title)


def fit_pools(portfolio: Portfolio, units: Mapping[str, UnitSubscribers]) -> list[PoolFit]:
    """Fit and compare the retention models of every pool of contractual units.

    Units of whose customers fewer than 20 left are not part of it: they would learn from the others alone.
    """
    sampling = Sampling(**portfolio.sampling.model_dump(), seed=portfolio.seed)
    pools: dict[str, dict[str, UnitSubscribers]] = {}
    for name, data in units.items():
        if count_leavers(data) >= TOO_FEW_LEAVERS:
            pools.setdefault(data.unit.pool, {})[name] = data
    found = []
    for pool, members in pools.items():
        fits = fit_all(lay_out_units(members), sampling)
        ranked = comparison.rank(fits)
        found.append(PoolFit(pool, tuple(members), fits, ranked, comparison.choose(ranked)))
    return found


def count_leavers(data: UnitSubscribers) -> int:
    """Count those who left of their own will and are known to have been at risk in a month after joining."""
    counts = data.pattern_counts
    entry = 0 if data.observed_from is None else (data.observed_from - counts["joined"]).clip(lower=0)
    left = counts["churned"] & ~counts["involuntary"] & (counts["tenure"] >= entry) & (counts["tenure"] > 0)
    return int(counts.loc[left, "subscriptions"].sum())


def _tabulate(pools: list[PoolFit], make: Callable[[RetentionFit], pd.DataFrame]) -> pd.DataFrame:
    """Table of every unit's chosen model."""
    parts = []
    for pool in pools:
        for unit in pool.units:
            table = make(pool.best(unit))
            parts.append(table[table["unit"].isin([unit])])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"unit": []})


def tabulate_gates(pools: list[PoolFit]) -> pd.DataFrame:
    """Say of every fit whether it may be relied on: units, model, passed, sentence."""
    rows = [
        (", ".join(pool.units), TITLES[name], fit.passed, fit.gate.sentence())
        for pool in pools
        for name, fit in pool.fits.items()
    ]
    return pd.DataFrame(rows, columns=["units", "model", "passed", "sentence"])


def tabulate_comparison(pools: list[PoolFit]) -> pd.DataFrame:
    """`cvmlib.churn.comparison.rank` of all pools."""
    return pd.concat([pool.ranked for pool in pools], ignore_index=True) if pools else pd.DataFrame({"unit": []})


def tabulate_choices(pools: list[PoolFit]) -> pd.DataFrame:
    """`cvmlib.churn.comparison.choose` of all pools."""
    return pd.concat([pool.chosen for pool in pools], ignore_index=True) if pools else pd.DataFrame({"unit": []})


def tabulate_drivers(pools: list[PoolFit], interval: float = 0.9) -> pd.DataFrame:
    """`cvmlib.churn.outlook.tabulate_effects` of every unit's chosen model."""
    return _tabulate(pools, lambda fit: outlook.tabulate_effects(fit, interval))


def tabulate_parameters(pools: list[PoolFit], interval: float = 0.9) -> pd.DataFrame:
    """`cvmlib.churn.outlook.tabulate_parameters` of every unit's chosen model."""
    return _tabulate(pools, lambda fit: outlook.tabulate_parameters(fit, interval))


def tabulate_check(pools: list[PoolFit], interval: float = 0.9) -> pd.DataFrame:
    """`cvmlib.churn.outlook.check_hazards` of every unit's chosen model."""
    return _tabulate(pools, lambda fit: outlook.check_hazards(fit, interval))


def tabulate_priors(pools: list[PoolFit], interval: float = 0.9) -> pd.DataFrame:
    """Compare what was believed before the data with what they say: `cvmlib.churn.prior_check.compare_priors`."""
    from cvmlib.churn.prior_check import compare_priors

    return _tabulate(pools, lambda fit: compare_priors(fit, interval))


def tabulate_covariates(units: Mapping[str, UnitSubscribers]) -> pd.DataFrame:
    """Say which columns are used as covariates and how, and which are refused and why: unit, column, used, sentence."""
    rows = []
    for name, data in units.items():
        rows += [(name, one.name, True, one.sentence()) for one in data.covariates]
        rows += [(name, one.name, False, one.reason) for one in data.refused]
    return pd.DataFrame(rows, columns=["unit", "column", "used", "sentence"])


def save_pools(
    portfolio: Portfolio, units: Mapping[str, UnitSubscribers], pools: list[PoolFit], interval: float = 0.9
) -> list[Path]:
    """Save what the reports read.

    Returns
    -------
    list of pathlib.Path
        Of every pool and chosen model the posterior with its provenance, in ``models/churn``; in the folder of every
        unit drivers.parquet (effects), risk.parquet (probability to leave by covariate pattern and tenure) and
        drivers.json (chosen model, reason, whether the fit is good, covariates used and refused).
    """
    written = []
    notes = tabulate_covariates(units)
    for pool in pools:
        for unit in pool.units:
            fit, folder = pool.best(unit), unit_folder(portfolio, unit)
            effects = outlook.tabulate_effects(fit, interval)
            effects[effects["unit"] == unit].drop(columns="unit").to_parquet(folder / "drivers.parquet", index=False)
            outlook.score_patterns(fit, unit, interval=interval).to_parquet(folder / "risk.parquet", index=False)
            told = notes[notes["unit"] == unit].drop(columns="unit").to_dict("records")
            reason = pool.chosen.set_index("unit").loc[unit, "reason"]
            facts = {"model": TITLES[fit.name], "reason": reason, "passed": fit.passed, "columns": told}
            (folder / "drivers.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            written += [folder / name for name in ("drivers.parquet", "risk.parquet", "drivers.json")]
        for name in sorted({pool.best(unit).name for unit in pool.units}):
            path = portfolio.build_dir / "models" / "churn" / f"{'-'.join(pool.units)}.{name}.nc"
            written += inference.save(pool.fits[name].trace, path, _make_provenance(portfolio, pool, name))
    return written


def _make_provenance(portfolio: Portfolio, pool: PoolFit, name: str) -> dict:
    fit = pool.fits[name]
    return {
        "units": list(pool.units),
        "model": name,
        "data": {unit: source_fingerprint(portfolio, unit) for unit in pool.units},
        "covariates": {key: list(levels) for key, levels in fit.data.covariates.items()},
        "seed": portfolio.seed,
        "gate": fit.gate.sentence(),
        "versions": provenance.versions(),
        "commit": provenance.commit(portfolio.root),
    }


def load_drivers(portfolio: Portfolio, unit: str) -> dict:
    """Read what `save_pools` wrote for a unit.

    Returns
    -------
    dict
        drivers and risk (data frames), facts (dict); empty when too few left to learn from.

    Raises
    ------
    DataError
        When the subscribers have not been counted yet.
    """
    folder = unit_folder(portfolio, unit)
    if not (folder / "subscribers.json").is_file():
        raise DataError(
            f"{unit}: the subscribers have not been counted yet. Run notebooks/models/churn.ipynb or `make reports`."
        )
    if not (folder / "drivers.json").is_file():
        return {}
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("drivers", "risk")}
    return frames | {"facts": json.loads((folder / "drivers.json").read_text(encoding="utf-8"))}
