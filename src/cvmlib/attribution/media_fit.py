"""Fit the media mix of a portfolio's units, pass the gate, check it on held-out weeks, save and load it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from cvmlib import inference, provenance
from cvmlib.attribution.media_design import LAGS, MediaDesign, build_design
from cvmlib.attribution.media_diagnostics import mark_captured
from cvmlib.attribution.media_effects import MediaPosterior
from cvmlib.attribution.media_experiments import Experiment, calibrating_tests, hide_tested, list_experiments
from cvmlib.attribution.media_lift import LiftTest, arrange_tests
from cvmlib.attribution.media_model import Form, build_model
from cvmlib.attribution.media_panel import UnitWeeks, build_panel
from cvmlib.attribution.media_prepare import load_weeks, media_units
from cvmlib.attribution.media_sampler import MediaSampler
from cvmlib.errors import DataError
from cvmlib.inference import Diagnostics, Sampling
from cvmlib.portfolio import Portfolio
from cvmlib.tables.sources import source_fingerprint

DRAWS = 500
"""Draws kept for effects."""
SAMPLING = Sampling(draws=800, tune=200, chains=4, target_accept=0.9)
HOLDOUT = Sampling(draws=250, tune=200, chains=2, target_accept=0.9)
HOLDOUT_WEEKS = 13
PATIENT = 0.99
"""Step-size target of the second fit, where the first did not pass the gate."""


@dataclass(frozen=True)
class MediaFit:
    """The fitted media mix of all units.

    Parameters
    ----------
    posterior : MediaPosterior
        Thinned draws with their design.
    diagnostics : Diagnostics
        The gate.
    weeks : dict of str to UnitWeeks
        Tables of the units.
    experiments : tuple of Experiment
        Tests that were run, of ``lift_tests`` and of programs, those that calibrate it and those that could not.
    holdout : MediaPosterior or None
        Draws of the fit that did not see the last weeks.
    holdout_weeks : int
        How many.
    """

    posterior: MediaPosterior
    diagnostics: Diagnostics
    weeks: dict[str, UnitWeeks]
    experiments: tuple[Experiment, ...]
    holdout: MediaPosterior | None
    holdout_weeks: int

    @property
    def tests(self) -> tuple[LiftTest, ...]:
        """Lift tests that calibrate it."""
        return tuple(calibrating_tests(self.experiments))

    @property
    def design(self) -> MediaDesign:
        """The design."""
        return self.posterior.design


def fit_weeks(
    weeks: Mapping[str, UnitWeeks],
    form: Form | None = None,
    sampling: Sampling | None = None,
    named: Mapping[str, list[str] | None] | None = None,
    holdout_weeks: int = HOLDOUT_WEEKS,
    lags: int = LAGS,
) -> MediaFit:
    """Fit the media mix of several units together.

    Parameters
    ----------
    weeks : mapping of str to UnitWeeks
        Their weekly tables.
    form : Form, optional
        Forms of adstock and saturation.
    sampling : Sampling, optional
        How long to sample; `SAMPLING` by default.
    named : mapping of str to list of str, optional
        Channels that follow demand, per unit; see `cvmlib.attribution.media_diagnostics.mark_captured`.
    holdout_weeks : int
        Weeks at the end that a second fit does not see; 0 for none.
    lags : int
        Weeks over which an effect is spread.
    """
    form, sampling = form or Form(), sampling or SAMPLING
    panel = build_panel(weeks)
    experiments = list_experiments(panel, weeks)
    tests = calibrating_tests(experiments)
    design = mark_captured(hide_tested(build_design(panel, lags), tests), named)
    model = build_model(design, arrange_tests(design, tests), form)
    sampler = MediaSampler()
    names = [variable.name for variable in model.free_RVs] + ["ret"]
    trace = sampler.sample(model, sampling)
    diagnostics = inference.diagnose(trace, names)
    if not diagnostics.passed:  # once more, longer and in smaller steps, in the coordinates of these draws
        longer = replace(sampling, draws=2 * sampling.draws, seed=sampling.seed + 3, target_accept=PATIENT)
        trace = sampler.sample(model, longer, again=True)
        diagnostics = inference.diagnose(trace, names)
    held = None
    if holdout_weeks:
        seen = _hide(design, holdout_weeks, lags, tests)
        known = [one for one in tests if _before(design, one, holdout_weeks)]
        held_model = build_model(seen, arrange_tests(seen, known), form)
        same = len(known) == len(tests)  # with other tests the posterior may be of another shape
        short = replace(HOLDOUT, seed=sampling.seed + 2)
        held = thin_trace(sampler.sample(held_model, short, again=same), seen, form)
    return MediaFit(
        thin_trace(trace, design, form),
        diagnostics,
        dict(weeks),
        tuple(experiments),
        held,
        holdout_weeks,
    )


def _hide(design: MediaDesign, holdout_weeks: int, lags: int, tests: Sequence[LiftTest]) -> MediaDesign:
    seen = hide_tested(build_design(design.panel, lags, holdout_weeks), tests)
    return replace(seen, captured=design.captured)


def _before(design: MediaDesign, test: LiftTest, holdout_weeks: int) -> bool:
    series = design.panel.series_of(test.unit)[0]
    return test.start + test.weeks <= len(design.panel.weeks[series]) - holdout_weeks


def thin_trace(trace: xr.DataTree, design: MediaDesign, form: Form, draws: int = DRAWS) -> MediaPosterior:
    """Keep evenly spaced draws of the variables that effects need."""
    posterior = trace["posterior"]
    skipped = ("_standard", "_scatter", "left", "captured_demand")
    kept = {str(n): inference.thin(posterior[n], draws) for n in posterior.data_vars if not str(n).endswith(skipped)}
    return MediaPosterior(design, form, kept)


def fit_media(
    portfolio: Portfolio, units: list[str] | None = None, form: Form | None = None, holdout_weeks: int = HOLDOUT_WEEKS
) -> MediaFit:
    """Fit the media mix of a portfolio's units, see `fit_weeks`."""
    names = media_units(portfolio) if units is None else units
    weeks = {unit: load_weeks(portfolio, unit) for unit in names}
    named = {unit: portfolio.units[unit].media_mix.follows_demand for unit in names}
    sampling = replace(SAMPLING, seed=portfolio.seed)
    return fit_weeks(weeks, form, sampling, named, holdout_weeks)


def folder_of(portfolio: Portfolio) -> Path:
    """Return where the media mix is saved."""
    return portfolio.build_dir / "models" / "media_mix"


def save_fit(portfolio: Portfolio, fit: MediaFit) -> list[Path]:
    """Save the draws and their provenance; the design is built again from the weekly tables when they are loaded.

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    folder = folder_of(portfolio)
    folder.mkdir(parents=True, exist_ok=True)
    written = _save_draws(folder / "draws.nc", fit.posterior)
    if fit.holdout is not None:
        written += _save_draws(folder / "holdout.nc", fit.holdout)
    notes = {
        "units": list(fit.weeks),
        "form": asdict(fit.posterior.form),
        "lags": int(fit.design.lagged.shape[2]),
        "captured": fit.design.captured.tolist(),
        "holdout_weeks": fit.holdout_weeks,
        "diagnostics": asdict(fit.diagnostics),
        "data": {unit: source_fingerprint(portfolio, unit) for unit in fit.weeks},
        "seed": portfolio.seed,
        "versions": provenance.versions(),
        "commit": provenance.commit(portfolio.root),
    }
    path = folder / "notes.json"
    path.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return [*written, path]


def _save_draws(path: Path, posterior: MediaPosterior) -> list[Path]:
    """Write draws; a file with the same draws is left as it is."""
    arrays = {
        name: (["draw", *(f"{name}_{i}" for i in range(values.ndim - 1))], values.astype(np.float32))
        for name, values in posterior.draws.items()
    }
    partial = path.with_suffix(".partial")
    xr.Dataset(arrays).to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)
    return [path]


def load_fit(portfolio: Portfolio) -> MediaFit:
    """Load what `save_fit` wrote.

    Raises
    ------
    DataError
        When no media mix has been fitted yet.
    """
    folder = folder_of(portfolio)
    if not (folder / "notes.json").is_file():
        raise DataError(
            "The media mix has not been fitted yet. Run notebooks/models/media_mix.ipynb or `make reports`."
        )
    notes = json.loads((folder / "notes.json").read_text(encoding="utf-8"))
    weeks = {unit: load_weeks(portfolio, unit) for unit in notes["units"]}
    panel, form = build_panel(weeks), Form(**notes["form"])
    experiments = list_experiments(panel, weeks)
    tests = calibrating_tests(experiments)
    design = hide_tested(build_design(panel, notes["lags"]), tests)
    design = replace(design, captured=np.array(notes["captured"], dtype=bool))
    held = None
    if notes["holdout_weeks"]:
        held = _load_draws(folder / "holdout.nc", _hide(design, notes["holdout_weeks"], notes["lags"], tests), form)
    return MediaFit(
        _load_draws(folder / "draws.nc", design, form),
        Diagnostics(**notes["diagnostics"]),
        weeks,
        tuple(experiments),
        held,
        notes["holdout_weeks"],
    )


def _load_draws(path: Path, design: MediaDesign, form: Form) -> MediaPosterior:
    with xr.open_dataset(path, engine="h5netcdf") as stored:
        data = stored.load()
    return MediaPosterior(design, form, {str(n): data[n].to_numpy().astype(float) for n in data.data_vars})


def describe_units(fit: MediaFit) -> pd.DataFrame:
    """What the fit rests on, per unit: weeks, channels, regions, outlets, controls, lift tests.

    Returns
    -------
    pandas.DataFrame
        unit, weeks, first_week, last_week, channels, regions, outlets, spend and outcome (money), lift_tests.
    """
    rows = []
    panel = fit.design.panel
    for unit in fit.weeks:
        mine = panel.series_of(unit)
        grid = panel.weeks[mine[0]]
        rows.append({
            "unit": unit, "weeks": len(grid), "first_week": grid[0], "last_week": grid[-1],
            "channels": len(panel.channels_of(unit)), "regions": len({panel.series[s].region for s in mine}),
            "outlets": len({panel.series[s].outlet for s in mine}),
            "spend": float(sum(fit.weeks[unit].media.query("week in @grid")["spend"])),
            "outcome": float(sum(panel.outcome[s].sum() * panel.series[s].scale for s in mine)),
            "lift_tests": sum(test.unit == unit for test in fit.tests),
        })  # fmt: skip
    return pd.DataFrame(rows)
