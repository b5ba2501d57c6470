#!/bin/sh
# Writes the locks from pyproject.toml and benchmarks/requirements-peers.in. What is pinned stays, unless it no longer
# fits or UPGRADE=1. uv (on PATH or in .tools/uv) resolves for every platform and for Python 3.12 to 3.14 at once.
set -eu
cd "$(dirname "$0")/.."
export UV_CACHE_DIR="$PWD/.tools/uv-cache" UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
uv=$(command -v uv || echo .tools/uv/bin/uv)

compile() {
    "$uv" pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
        ${UPGRADE:+--upgrade} "$@"
}

# Prints the entries of the lock $2 whose packages the lock $1 does not have.
additional() {
    awk '/^[A-Za-z0-9]/ { split($0, part, "=="); own = FNR != NR && !(part[1] in base); if (FNR == NR) base[part[1]] }
         FNR != NR && own' "$1" "$2"
}

extras="--extra lab --extra test --extra build"
compile --python-version 3.12 $extras pyproject.toml -o requirements.lock
whole=$(mktemp .tools/lock.XXXXXX)
trap 'rm -f "$whole"' EXIT
cat requirements.lock requirements-spark.lock >"$whole" 2>/dev/null || true
compile --python-version 3.12 $extras --extra spark -c requirements.lock pyproject.toml -o "$whole"
additional requirements.lock "$whole" >requirements-spark.lock
compile --python-version 3.12 benchmarks/requirements-peers.in -o benchmarks/requirements-peers.lock
