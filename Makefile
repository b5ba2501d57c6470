# Everything the project does, from a fresh checkout. `make` alone lists the targets.

CONFIG ?= business_units.toml
JOBS   ?=
ONLY   ?=
TESTS  ?=
SIMULATIONS ?=

VENV   := .venv
PYTHON := $(VENV)/bin/python
CVM    := $(VENV)/bin/cvm
READY  := $(VENV)/.ready
SPARK  := $(VENV)/.ready-spark
PEERS  := .venv-peers/.ready

NOTEBOOKS := $(strip $(foreach part,models/* reports/* portfolio,$(sort $(wildcard notebooks/$(part).ipynb))))
EXAMPLES  := $(wildcard examples/*.ipynb)
STRIP     := --keep-id --extra-keys "metadata.papermill cell.metadata.papermill"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help
help: ## list the targets
	@echo "make TARGET [CONFIG=$(CONFIG)]"
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
	    printf '  %-12s %s\n' "$$target" "$$text"; done

.PHONY: env
env: $(READY) ## install Python packages into .venv (every target that needs them does it by itself)

$(READY): requirements.lock pyproject.toml .python-version tools/install.sh
	sh tools/install.sh env
	@touch $@

.PHONY: demo
demo: $(READY) ## simulate the tables of the demo company, unless they are there
	$(CVM) demo --config $(CONFIG)

.PHONY: check
check: $(READY) ## check the tables of every business unit and list all problems
	$(CVM) check --config $(CONFIG)

.PHONY: reports
reports: $(READY) ## build reports/index.html, as far as its inputs changed (CONFIG=, JOBS=)
	$(CVM) reports --config $(CONFIG) $(if $(JOBS),--jobs $(JOBS))

.PHONY: published
published: $(READY) ## reproduce published tables from public data in reports/published_tables.html (CVM_DATA=FOLDER)
	$(CVM) page examples/published_tables.ipynb

.PHONY: lab
lab: $(READY) ## open the notebooks in JupyterLab
	$(VENV)/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

.PHONY: test
test: lint test-reports test-values test-notebooks test-others ## run everything: lint, unit tests, published tables, notebooks

# The unit tests in two halves, so that `make -j2 test` keeps two cores busy.
.PHONY: test-reports test-values test-others
# In parts of their own, the longest first, so that `make -j2 test` keeps two processors busy.
REPORTS := tests/test_demo_reports.py tests/reporting tests/examples

test-reports: $(READY)
	$(PYTHON) -m pytest -q $(REPORTS)

test-values: $(READY)
	$(PYTHON) -m pytest -q tests/clv

test-others: $(READY)
	$(PYTHON) -m pytest -q $(foreach part,tests/spark tests/clv $(REPORTS),--ignore=$(part))

.PHONY: test-unit
test-unit: $(READY) ## run the tests of the library only (TESTS=tests/clv: of a part)
	$(PYTHON) -m pytest -q --ignore=tests/spark $(TESTS)

# nbval runs the notebooks as they are, on the demo company, the models first: the report notebooks read what those save.
.PHONY: test-notebooks
test-notebooks: $(READY) demo ## run every notebook under nbval, on the demo company
	@if [ -n "$(NOTEBOOKS)" ]; then set -x; JUPYTER_DEFAULT_PROVISIONER_NAME=cvm-warm \
	    $(PYTHON) -m pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=1200 $(NOTEBOOKS); fi

.PHONY: test-spark
test-spark: $(SPARK) ## prove that Spark counts and joins exactly like DuckDB (needs Java 17 or newer)
	@java -version >/dev/null 2>&1 || { echo "Spark needs Java 17 or newer on PATH (Debian: default-jre-headless)." >&2; exit 1; }
	$(PYTHON) -m pytest -q tests/spark

$(SPARK): $(READY) requirements-spark.lock
	sh tools/install.sh spark
	@touch $@

.PHONY: calibrate
calibrate: $(READY) ## check by simulation that every model's posterior is right (ONLY=name, SIMULATIONS=n, JOBS=n)
	$(PYTHON) -m benchmarks.calibrate $(if $(ONLY),--only $(ONLY)) \
	    $(if $(SIMULATIONS),--simulations $(SIMULATIONS)) $(if $(JOBS),--jobs $(JOBS))

.PHONY: lint
lint: $(READY) ## check style, and that notebooks are committed without outputs
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	@if [ -n "$(NOTEBOOKS)" ]; then set -x; $(VENV)/bin/nbstripout --verify $(STRIP) $(NOTEBOOKS) $(EXAMPLES); fi

.PHONY: format
format: $(READY) ## bring code into the style and strip the outputs of notebooks
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	@if [ -n "$(NOTEBOOKS)" ]; then set -x; $(VENV)/bin/nbstripout $(STRIP) $(NOTEBOOKS) $(EXAMPLES); fi

.PHONY: bench
bench: $(READY) ## run the benchmarks and print a table (ONLY=name runs one)
	$(PYTHON) -m benchmarks.run $(if $(ONLY),--only $(ONLY))

.PHONY: bench-env
bench-env: $(PEERS) ## install the libraries that the benchmarks compare with, into .venv-peers

$(PEERS): benchmarks/requirements-peers.lock .python-version tools/install.sh
	sh tools/install.sh peers
	@touch $@

.PHONY: lock
lock: $(READY) ## write requirements*.lock again after a change of pyproject.toml (UPGRADE=1: newest versions)
	UPGRADE=$(UPGRADE) sh tools/lock.sh

.PHONY: clean
clean: ## remove everything that was built, installed or simulated
	rm -rf .venv .venv-peers .tools .cache build data/demo data/derived .pytest_cache .ruff_cache
	find reports -mindepth 1 ! -name README.md -delete 2>/dev/null || true
	find . -name __pycache__ -prune -exec rm -rf {} +

# Both write the models' posteriors and the executed notebooks: asked for together, one after the other.
ifneq (,$(filter reports,$(MAKECMDGOALS)))
demo test-notebooks: | reports
endif
