"""The steps of a build: what each one needs, what it is made from, what it runs, and what it leaves behind.

Per unit its counts, then the models (each once, over all the units it is for), then each unit's pages, then the
portfolio. A step is built again when something it is made from has changed: the notebook, the library's modules it
imports, its settings, the data, or what an earlier step left.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cvmlib.errors import CvmError, DataError
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.reporting import fingerprints
from cvmlib.reporting.notebooks import Notebook, Notebooks
from cvmlib.reporting.provenance import describe
from cvmlib.reporting.run import Failure, run_notebook
from cvmlib.reporting.stamps import Stamps

if TYPE_CHECKING:
    from cvmlib.tables.problems import CheckReport

PREPARED_BY = {"noncontractual": "cvmlib.clv.prepare", "contractual": "cvmlib.churn.prepare"}
"""Module whose ``prepare_unit`` checks and counts a unit, by setting."""

ALSO_PREPARED_BY = {
    "programs": "cvmlib.programs.prepare",
    "touchpoints": "cvmlib.attribution.prepare",
    "paths": "cvmlib.attribution.prepare",
    "media": "cvmlib.attribution.media_prepare",
    "transactions": "cvmlib.decisions.prepare",
    "subscriptions": "cvmlib.decisions.prepare",
}
"""Module whose ``prepare_unit`` counts a further table of a unit, once the unit is checked, by table.

In this order: what programs measured of media channels calibrates the media mix.
"""


@dataclass(frozen=True)
class Step:
    """One step: its kind (count, model, page or portfolio), its unit or notebook, and the steps that come before it."""

    kind: str
    key: str
    label: str
    unit: str = ""
    notebook: Notebook | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a step: ``fresh`` (nothing to do), ``built``, ``failed`` or ``blocked`` (see `why`)."""

    step: Step
    state: str
    why: str = ""
    seconds: float = 0.0
    failure: Failure | None = None

    @property
    def good(self) -> bool:
        """Whether the step's results are there and up to date."""
        return self.state in ("fresh", "built")


@dataclass
class Context:
    """What the steps of one build share: the portfolio, its notebooks, hashes of files, and the outcomes so far."""

    portfolio: Portfolio
    notebooks: Notebooks
    hashes: fingerprints.FileHashes
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)

    @property
    def stamps(self) -> Stamps:
        """Return what the steps were last built from."""
        return Stamps(self.portfolio.build_dir)

    def data_of(self, unit: str) -> str:
        """Return the fingerprint of a unit's tables, taken once per build."""
        if unit not in self.data:
            self.data[unit] = fingerprints.unit_data(self.portfolio, unit)
        return self.data[unit]

    def unit_dir(self, unit: str) -> Path:
        """Return where the results of a unit are."""
        return self.portfolio.build_dir / "units" / unit

    def checks(self, unit: str) -> dict:
        """Return what the checks of a unit found; empty before they ran."""
        try:
            return json.loads((self.unit_dir(unit) / "checks.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def copy_of(self, step: Step) -> Path:
        """Return where the executed copy of a step's notebook is."""
        folder = {"model": "models", "page": step.unit, "portfolio": ""}[step.kind]
        return self.portfolio.build_dir / "notebooks" / folder / step.notebook.path.name


def applies(notebook: Notebook, portfolio: Portfolio, unit: str) -> bool:
    """Return whether a notebook is for units of this unit's setting, and the unit has what it asks for."""
    settings = portfolio.units[unit]
    if settings.setting not in notebook.settings or not all(getattr(settings, key) for key in notebook.config):
        return False
    days = {path.name[:10] for path in (portfolio.record_dir / unit).glob("*.parquet")} if notebook.record else ()
    return not notebook.record or len(days) > 1


def alternatives(need: str) -> tuple[str, ...]:
    """Return what each meets a need of a notebook: ``"touchpoints or paths"`` is met by either table."""
    return tuple(need.split(" or "))


def missing_tables(notebook: Notebook, portfolio: Portfolio, unit: str) -> list[str]:
    """Return the tables a notebook needs and a unit does not supply; of alternatives, the first."""
    from cvmlib.tables.contracts import CONTRACTS

    needs = [[name for name in alternatives(need) if name in CONTRACTS] for need in notebook.needs]
    return [names[0] for names in needs if names and not set(names) & set(portfolio.units[unit].tables)]


def models_read(notebook: Notebook, notebooks: Notebooks, portfolio: Portfolio, unit: str = "") -> list[Notebook]:
    """Return the models notebooks whose results a notebook reads, for one unit or (portfolio) for all."""
    named = [m for m in notebooks.models if notebook.reads is None or m.name in notebook.reads]
    units = [unit] if unit else list(portfolio.units)
    return [m for m in named if any(_fits(m, portfolio, name) for name in units)]


def plan_steps(portfolio: Portfolio, notebooks: Notebooks, only: str = "") -> list[Step]:
    """Return the steps in an order in which they can run; with `only`, those that one unit's pages need."""
    steps = [Step("count", f"count/{name}", f"{unit.label}: counts", name) for name, unit in portfolio.units.items()]
    for model in notebooks.models:
        units = [name for name in portfolio.units if _fits(model, portfolio, name)]
        if units:
            after = tuple(f"count/{name}" for name in units)
            done = {step.key for step in steps}
            after += tuple(f"model/{name}" for name in model.reads or () if f"model/{name}" in done)
            steps.append(Step("model", f"model/{model.name}", f"Models: {model.title}", "", model, after))
    for name, unit in portfolio.units.items():
        for page in notebooks.reports:
            if applies(page, portfolio, name) and not missing_tables(page, portfolio, name):
                after = _after(page, portfolio, notebooks, name)
                steps.append(Step("page", f"page/{name}/{page.name}", f"{unit.label}: {page.title}", name, page, after))
    if notebooks.portfolio:
        after = tuple(step.key for step in steps if step.kind in ("count", "model"))
        steps.append(Step("portfolio", "portfolio", notebooks.portfolio.title, "", notebooks.portfolio, after))
    return _needed_by(steps, only) if only else steps


def _fits(notebook: Notebook, portfolio: Portfolio, unit: str) -> bool:
    return applies(notebook, portfolio, unit) and not missing_tables(notebook, portfolio, unit)


def _after(page: Notebook, portfolio: Portfolio, notebooks: Notebooks, unit: str) -> tuple[str, ...]:
    models = models_read(page, notebooks, portfolio, unit)
    return (f"count/{unit}", *(f"model/{model.name}" for model in models))


def _needed_by(steps: list[Step], unit: str) -> list[Step]:
    known = {step.key: step for step in steps}
    wanted, waiting = set(), [step.key for step in steps if step.unit == unit]
    while waiting:
        key = waiting.pop()
        wanted.add(key)
        waiting += [name for name in known[key].after if name not in wanted]
    return [step for step in steps if step.key in wanted]


def ready_units(context: Context, step: Step) -> list[str]:
    """Return the units whose counts a models or portfolio notebook can use: checked, counted, and not blocked."""
    units = [key.removeprefix("count/") for key in step.after if key.startswith("count/")]
    return [
        unit
        for unit in units
        if context.outcomes[f"count/{unit}"].good and not blocking_problem(context, unit, step.notebook.needs)
    ]


def blocking_problem(context: Context, unit: str, needs: tuple[str, ...]) -> str:
    """Return the problem in a unit's data that stands against what a notebook needs; nothing if none does.

    Of alternative tables, those that the unit supplies must all be blocked.
    """
    from cvmlib.tables.contracts import CONTRACTS

    problems = context.checks(unit).get("problems", [])
    blocked = {name for problem in problems for name in problem.get("blocks", ())}
    supplied = context.portfolio.units[unit].tables
    for need in needs:
        names = {name for name in alternatives(need) if name not in CONTRACTS or name in supplied}
        if names and names <= blocked:
            return next(problem["message"] for problem in problems if names & set(problem.get("blocks", ())))
    return ""


def obstacle(context: Context, step: Step) -> str:
    """Return why a step cannot run now; nothing if it can."""
    if step.kind == "count":
        return ""
    if step.kind in ("model", "portfolio") and not ready_units(context, step):
        return "no business unit is ready for it"
    for key in step.after:
        outcome = context.outcomes[key]
        optional = step.kind == "model" or (key.startswith("count/") and step.kind != "page")
        if not outcome.good and not optional:
            verb = "failed" if outcome.state == "failed" else "could not be built"
            return f"it needs “{outcome.step.label}”, which {verb}"
    if step.kind == "page":
        needs = step.notebook.needs
        for key in step.after[1:]:
            needs += context.outcomes[key].step.notebook.needs
        return blocking_problem(context, step.unit, needs)
    return ""


def inputs(context: Context, step: Step) -> dict[str, str]:
    """Return what a step is made from: a name for people, and a fingerprint."""
    portfolio, made = context.portfolio, {}
    settings: dict = {"portfolio": fingerprints.portfolio_settings(portfolio)}
    if step.kind == "count":
        modules = preparers(portfolio, step.unit)
        units = [step.unit]
    else:
        modules = step.notebook.modules
        made["notebook"] = step.notebook.fingerprint
        units = [step.unit] if step.unit else ready_units(context, step)
        for unit in units:
            made[f"counts of {unit}"] = _left_by(context, f"count/{unit}")
        for key in step.after:
            if key.startswith("model/"):
                made[key] = _left_by(context, key, step.unit)
    if step.kind == "portfolio":
        settings["name"] = portfolio.name
    for unit in units:
        settings[unit] = fingerprints.unit_settings(portfolio, unit)
        if step.kind in ("count", "page"):
            made[f"data of {unit}"] = context.data_of(unit)
    made["configuration"] = fingerprints.hash_json(settings)
    made["library"] = fingerprints.hash_modules(modules)
    return made


def _left_by(context: Context, key: str, unit: str = "") -> str:
    """Return the hash of what a step left; of a models notebook, for one unit: the model, and the unit's own files."""
    root = context.portfolio.build_dir
    units = root / "units"
    files = [root / name for name in context.stamps.read(key).get("outputs", [])]
    if unit:
        files = [file for file in files if not file.is_relative_to(units) or file.is_relative_to(units / unit)]
    return context.hashes.of_all((file for file in files if file.suffix != ".ipynb"), root)


def call(context: Context, step: Step) -> tuple[Callable, tuple]:
    """Return the function a step runs, in this process or another, and its arguments."""
    portfolio = context.portfolio
    if step.kind == "count":
        return count_unit, (portfolio.path, step.unit)
    offered: dict[str, object] = {"config": str(portfolio.path), "unit": step.unit}
    if not step.unit:
        offered["units"] = ready_units(context, step)
    given = {name: value for name, value in offered.items() if name in step.notebook.parameters}
    units = [step.unit] if step.unit else ready_units(context, step)
    facts = describe(portfolio, {unit: context.data_of(unit) for unit in units}, context.checks(units[0]))
    return run_notebook, (step.notebook.path, context.copy_of(step), given, portfolio.root, facts)


def preparers(portfolio: Portfolio, unit: str) -> list[str]:
    """Return the modules that check and count a unit; the first one checks it, and writes its checks first."""
    from cvmlib.tables.contracts import COMPULSORY

    settings = portfolio.units[unit]
    log = COMPULSORY[settings.setting] in settings.tables
    first = PREPARED_BY[settings.setting] if log else "cvmlib.tables.prepare"
    others = (module for table, module in ALSO_PREPARED_BY.items() if table in settings.tables)
    return list(dict.fromkeys([first, *others]))


def read_checks(portfolio: Portfolio, unit: str) -> "CheckReport":
    """Read what the checks of a unit found."""
    from cvmlib.tables.problems import CheckReport

    path = portfolio.build_dir / "units" / unit / "checks.json"
    return CheckReport.from_json(path.read_text(encoding="utf-8"))


def count_unit(config: Path, unit: str) -> list[Path] | Failure:
    """Check and count one unit; return the files it left, or why it cannot be used."""
    import importlib

    portfolio = read_portfolio(config)
    first, *others = [importlib.import_module(name) for name in preparers(portfolio, unit)]
    try:
        written = [Path(path) for path in first.prepare_unit(portfolio, unit)]
        checks = read_checks(portfolio, unit) if others else None
        return written + [Path(path) for module in others for path in module.prepare_unit(portfolio, unit, checks)]
    except DataError as error:
        problems = tuple(_problem_words(problem) for problem in error.problems)
        return Failure("data", str(error), problems)
    except CvmError as error:
        return Failure("config", str(error))
    except Exception as error:
        return Failure("notebook", f"{portfolio.units[unit].label}: {type(error).__name__}: {error}")


def _problem_words(problem: object) -> str:
    place = ".".join(part for part in (problem.table, problem.column) if part)
    return f"{place}: {sentences(problem.message, problem.treatment)}"


def sentences(*texts: str) -> str:
    """Return texts in a row, each with its full stop."""
    stripped = (text.strip() for text in texts)
    return " ".join(text if text.endswith((".", "!", "?", "…")) else f"{text}." for text in stripped if text)


def left(context: Context, step: Step, result: object, before: dict[Path, int]) -> list[Path]:
    """Return the files a step has left, given what lay there before it ran."""
    if step.kind == "count":
        return list(result)
    files = [context.copy_of(step)]
    if step.kind == "model":
        files += [path for path, state in files_of_models(context, step).items() if before.get(path) != state]
    return files


def files_of_models(context: Context, step: Step) -> dict[Path, int]:
    """Return the files where a models notebook may write, with their times of change."""
    root = context.portfolio.build_dir
    folders = [root / "models", *(root / "units" / key.removeprefix("count/") for key in step.after)]
    return {p: p.stat().st_mtime_ns for folder in folders if folder.is_dir() for p in folder.rglob("*") if p.is_file()}
