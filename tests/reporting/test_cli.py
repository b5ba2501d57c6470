"""The command line: quick to start, and a user's mistake is one message and an exit code."""

import subprocess
import sys
import types

import pytest
from typer.testing import CliRunner

from cvmlib import cli
from cvmlib.reporting import build as building
from cvmlib.reporting.run import Failure
from cvmlib.tables import demo


def cvm(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_help_needs_no_heavy_library():
    code = "import sys, cvmlib.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "pandas",
        "numpy",
        "ibis",
        "duckdb",
        "pymc",
        "arviz",
        "matplotlib",
        "papermill",
        "nbconvert",
        "great_tables",
    }
    assert not heavy & set(run.stdout.split())
    assert cvm("--help").exit_code == 0


def test_missing_config_is_told_with_exit_code_2(tmp_path):
    for command in ("reports", "check", "demo"):
        done = cvm(command, "--config", tmp_path / "none.toml")
        assert done.exit_code == 2
        assert "none.toml" in done.output and "Traceback" not in done.output


def test_unknown_unit_is_told(project):
    done = cvm("reports", "--config", project / "business_units.toml", "--only", "bug")
    assert done.exit_code == 2 and "There is no unit 'bug'. The units are big, small, phone." in done.output


@pytest.mark.parametrize(
    ("kinds", "code"), [((), 0), (("notebook",), 1), (("data",), 3), (("model",), 4), (("notebook", "data"), 3)]
)
def test_exit_code_follows_the_failures(project, monkeypatch, kinds, code):
    failures = tuple(Failure(kind, f"{kind} went wrong") for kind in kinds)
    result = types.SimpleNamespace(failures=failures, written=(), index=project / "reports" / "index.html")
    monkeypatch.setattr(building, "build_reports", lambda *given: result)
    done = cvm("reports", "--config", project / "business_units.toml")
    assert done.exit_code == code
    assert all(f"{kind} went wrong" in done.output for kind in kinds)
    assert ("Nothing has changed" in done.output) == (not kinds)


def test_check_lists_problems_and_fails_on_fatal_ones(project):
    done = cvm("check", "--config", project / "business_units.toml")
    assert done.exit_code == 3
    assert "big: 2 to put right first" in done.output
    assert "phone: " in done.output and "Remedy" in done.output


def test_demo_is_simulated_once(project, monkeypatch):
    calls = []
    monkeypatch.setattr(demo, "is_current", lambda folder, **settings: bool(calls))
    monkeypatch.setattr(demo, "simulate", lambda folder, progress, **settings: calls.append((folder, settings)))
    config = project / "business_units.toml"
    assert "has no [demo] table" in cvm("demo", "--config", config).output
    config.write_text(config.read_text() + "\n[demo]\nscale = 0.5\nyears = 2\n")
    assert cvm("demo", "--config", config, "--seed", 7).output.startswith("Simulating the demo company")
    folder, settings = calls[0]
    assert folder == project / "data"
    assert settings["scale"] == 0.5 and settings["seed"] == 7 and settings["years"] == 2
    assert "is up to date" in cvm("demo", "--config", config).output
    assert len(calls) == 1
