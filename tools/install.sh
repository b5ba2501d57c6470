#!/bin/sh
# Installs an environment inside the checkout, from a lock with hashes:
#   sh tools/install.sh env      .venv        from requirements.lock, with cvmlib itself, editable
#   sh tools/install.sh spark    .venv        additionally what requirements-spark.lock pins
#   sh tools/install.sh peers    .venv-peers  the libraries the benchmarks compare with
# uses uv from PATH, else uv installed under .tools, else venv and pip. Nothing is written outside the checkout.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)

export UV_CACHE_DIR="$root/.tools/uv-cache" UV_PYTHON_INSTALL_DIR="$root/.tools/python"
export UV_PYTHON_BIN_DIR="$root/.tools/bin" UV_TOOL_DIR="$root/.tools/uv-tools" UV_NO_PROGRESS=1
export PIP_CACHE_DIR="$root/.tools/pip-cache" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0
unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME || true
venvs_and_pip=${CVM_NO_UV:-} # set it to install without uv

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# Whether $1 runs and is Python $2 (a shim of pyenv exists also for versions that are not selected, and then fails).
is_python() {
    [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$2" ]
}

# Prints an interpreter of the version in .python-version, else of another one that the lock is for.
find_python() {
    wanted=$(cat .python-version)
    for version in "$wanted" 3.12 3.13 3.14; do
        for candidate in "python$version" python3 python "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python \
            .tools/python/*"$version".*/bin/python; do
            if is_python "$candidate" "$version"; then
                "$candidate" -c 'import sys; print(sys.executable)'
                return
            fi
        done
    done
    return 1
}

# Prints uv: the one on PATH, or one of its own under .tools, made by any Python.
find_uv() {
    [ -z "$venvs_and_pip" ] || return 1
    for candidate in uv "$root/.tools/uv/bin/uv"; do
        if "$candidate" --version >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    for python in "$1" python3 python /usr/bin/python3; do
        [ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue
        say "Installing uv into .tools/uv" >&2
        if "$python" -m venv --clear .tools/uv >/dev/null 2>&1 && .tools/uv/bin/python -m pip install -q uv >&2; then
            :
        else # without ensurepip, as where Debian's python3-venv is missing
            rm -rf .tools/uv
            "$python" -m pip install -q --target .tools/uv uv >&2 2>/dev/null || continue
        fi
        if .tools/uv/bin/uv --version >/dev/null 2>&1; then
            say "$root/.tools/uv/bin/uv"
            return
        fi
    done
    return 1
}

# Makes the virtual environment $1, unless it already has the right Python.
make_venv() {
    if [ -n "$python" ]; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if [ -x "$1/bin/python" ] && is_python "$1/bin/python" "$version"; then return; fi
        say "Making $1 with Python $version"
        rm -rf "$1"
        if [ -n "$uv" ]; then "$uv" venv -q --no-python-downloads --python "$python" "$1"; else "$python" -m venv "$1"; fi
    elif [ -n "$uv" ]; then
        say "Making $1 with Python $(cat .python-version), which uv fetches into .tools/python"
        rm -rf "$1"
        "$uv" venv -q --managed-python --python "$(cat .python-version)" "$1" || no_python
    else
        no_python
    fi
}

no_python() {
    fail "No Python 3.12, 3.13 or 3.14 was found on PATH, and none could be fetched. Install one" \
        "(for example Debian's python3.12 and python3.12-venv, or 'pyenv install 3.12') and run make again."
}

# Installs into the virtual environment $1 what the lock $2 pins; further arguments go to the installer.
install_lock() {
    venv=$1 lock=$2
    shift 2
    say "Installing $lock into $venv"
    if [ -n "$uv" ]; then
        "$uv" pip install -q --python "$venv/bin/python" --require-hashes "$@" -r "$lock"
    else
        "$venv/bin/python" -m pip install -q --require-hashes "$@" -r "$lock"
    fi
}

# Installs cvmlib itself, editable, with the build back end that the lock pins.
install_project() {
    if [ -n "$uv" ]; then
        "$uv" pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
    else
        .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
    fi
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    say 'import cvmlib.environment; cvmlib.environment.prepare()' >"$packages/zz_cvmlib_environment.pth"
    .venv/bin/python -m ipykernel install --sys-prefix --name python3 --display-name "Customer value (cvmlib)" >/dev/null 2>&1
}

python=$(find_python || true)
uv=$(find_uv "$python" || true)
[ -n "$uv" ] || say "Installing with venv and pip, since there is no uv"

case "${1:-}" in
env)
    make_venv .venv
    install_lock .venv requirements.lock
    install_project
    ;;
spark)
    install_lock .venv requirements-spark.lock --no-deps --no-build-isolation
    if [ -n "$uv" ]; then "$uv" cache clean -q pyspark; fi # half a gigabyte of sources, built and installed now
    ;;
peers)
    make_venv .venv-peers
    install_lock .venv-peers benchmarks/requirements-peers.lock
    ;;
*)
    fail "usage: sh tools/install.sh env|spark|peers"
    ;;
esac
