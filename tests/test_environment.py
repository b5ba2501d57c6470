"""pyproject.toml, the locks, environment.yml and .python-version describe one environment."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from cvmlib import environment

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements.lock", "requirements-spark.lock", "benchmarks/requirements-peers.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PYTHONS = ["3.12", "3.13", "3.14"]
HOST = re.compile(r"://|--(extra-)?index-url|--find-links|--trusted-host|\bfile:", re.IGNORECASE)


def read_lock(text: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Read a lock into name -> (requirement, hashes)."""
    entries = re.split(r"\n(?=\S)", text.strip())
    lock = {}
    for entry in entries:
        head, *rest = entry.split(" \\\n")
        requirement = Requirement(head)
        lock[canonicalize_name(requirement.name)] = (requirement, [line.strip() for line in rest])
    return lock


def pinned_version(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not pinned"
    return Version(specifier.version)


def disagreements(requirements: list[str], lock: dict, python: str) -> list[str]:
    """Say what `requirements` ask for on this Python that `lock` does not give."""
    found = []
    for requirement in map(Requirement, requirements):
        if requirement.marker and not requirement.marker.evaluate({"python_full_version": f"{python}.0"}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in lock:
            found.append(f"{requirement} is not in the lock")
            continue
        pin, _ = lock[name]
        versions = {"python_version": python, "python_full_version": f"{python}.0"}
        if pin.marker and not pin.marker.evaluate(versions):
            found.append(f"{requirement} is not in the lock for Python {python}")
        if pinned_version(pin) not in requirement.specifier:
            found.append(f"{requirement} does not admit {pin}")
    return found


@pytest.fixture(scope="module")
def lock() -> dict:
    return read_lock((ROOT / "requirements.lock").read_text())


@pytest.fixture(scope="module")
def spark_lock() -> dict:
    return read_lock((ROOT / "requirements-spark.lock").read_text())


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_pins_what_the_project_needs(lock, python):
    needed = [*PROJECT["dependencies"], *EXTRAS["lab"], *EXTRAS["test"], *EXTRAS["build"]]
    assert disagreements(needed, lock, python) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_both_locks_pin_what_spark_needs(lock, spark_lock, python):
    assert disagreements([*EXTRAS["spark"], "pyspark<4.1", "py4j"], lock | spark_lock, python) == []


def test_spark_lock_holds_only_additional_packages(lock, spark_lock):
    assert set(spark_lock) == {"pyspark", "py4j"}
    assert not set(spark_lock) & set(lock)


def test_disagreements_are_seen(lock):
    assert disagreements(["pandas>=99"], lock, "3.12") == [f"pandas>=99 does not admit {lock['pandas'][0]}"]
    assert disagreements(["no-such-package"], lock, "3.12") == ["no-such-package is not in the lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes_and_no_host(name):
    text = (ROOT / name).read_text()
    for requirement, hashes in read_lock(text).values():
        pinned_version(requirement)
        assert hashes, f"{requirement} has no hash in {name}"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), requirement
    assert not HOST.search(text)


def test_build_requirements_are_pinned(lock):
    build_system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert disagreements(build_system["requires"], lock, "3.12") == []


def test_environment_yml_uses_the_same_lock_and_python():
    text = (ROOT / "environment.yml").read_text()
    conda = yaml.safe_load(text)
    python = (ROOT / ".python-version").read_text().strip()
    *plain, pip = conda["dependencies"]
    assert plain == [f"python={python}", "pip"]
    assert pip == {"pip": ["-r requirements.lock"]}
    assert not HOST.search(text)
    flags = environment.settings(ROOT)["PYTENSOR_FLAGS"].split(",")
    assert conda["variables"]["PYTENSOR_FLAGS"] in flags


def test_python_version_is_allowed_and_is_what_runs():
    python = (ROOT / ".python-version").read_text().strip()
    assert python == PYTHONS[0]
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert all(version in allowed for version in PYTHONS)
    assert "3.11" not in allowed and "3.15" not in allowed
    assert "{}.{}".format(*sys.version_info[:2]) in PYTHONS


def test_installed_versions_are_the_pinned_ones(lock):
    from importlib.metadata import PackageNotFoundError, version

    for name in ("pymc", "pytensor", "arviz", "pandas", "numpy", "duckdb", "ibis-framework", "sqlglot", "nutpie"):
        try:
            installed = version(name)
        except PackageNotFoundError:
            pytest.fail(f"{name} is not installed; run make env")
        assert Version(installed) == pinned_version(lock[name][0]), f"{name} {installed} is installed; run make env"


def test_settings_stay_inside_the_checkout():
    values = environment.settings(ROOT)
    inside = {name for name in values if name.endswith(("DIR", "HOME")) and name != "JUPYTER_RUNTIME_DIR"}
    assert inside >= {"XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR", "NUMBA_CACHE_DIR", "JUPYTER_DATA_DIR"}
    assert all(Path(values[name]).is_relative_to(ROOT / ".cache") for name in inside)
    assert f"base_compiledir={ROOT / '.cache' / 'pytensor'}" in values["PYTENSOR_FLAGS"]


@pytest.mark.parametrize("folder", ["/a", "/home/someone/" + "a-long-name/" * 9 + "customers"])
def test_kernel_sockets_fit_into_a_socket_address(folder):
    runtime = environment.settings(Path(folder))["JUPYTER_RUNTIME_DIR"]
    socket = f"{runtime}/kernel-{'0' * 36}-ipc-12"
    assert len(socket) <= 107


def test_prepare_keeps_what_is_set_and_sets_the_rest():
    code = (
        "import os, sys; from cvmlib.environment import prepare; prepare();"
        "print(os.environ['MPLCONFIGDIR'], os.environ['IPYTHONDIR'], sys.dont_write_bytecode,"
        "'PYTHONDONTWRITEBYTECODE' in os.environ)"
    )
    env = {name: value for name, value in os.environ.items() if name != "IPYTHONDIR"}
    env |= {"MPLCONFIGDIR": "kept", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["kept", str(ROOT / ".cache" / "ipython"), "False", "False"]


def test_make_alone_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (\S+)$", makefile, flags=re.MULTILINE)
    run = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True, env=clean_env()
    )
    listed = [line.split()[0] for line in run.stdout.splitlines()[1:]]
    assert listed == targets
    assert all(len(line.split(maxsplit=1)) == 2 for line in run.stdout.splitlines()[1:])


def clean_env() -> dict[str, str]:
    """Return the environment without what an outer make hands to an inner one."""
    return {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}


def test_shell_scripts_are_valid():
    for script, shell in [("tools/install.sh", "sh"), ("tools/lock.sh", "sh"), (".ci/run", "bash")]:
        subprocess.run([shell, "-n", str(ROOT / script)], check=True)
