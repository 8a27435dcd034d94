# What people type. Everything is installed into .venv, from locked versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOURNAL ?= $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/pipetrail/demo.db

.PHONY: calibrate run test test-cluster test-rest test-release built check lint format types docs bench cluster cluster-down lock clean help

help:  ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## Play the demonstration into a journal and show what it found
	@$(BIN)/pipetrail demo --journal "$(JOURNAL)"

ifdef TESTS
test: built
	$(BIN)/python -m pytest -m "not release" $(TESTS)
else
test: test-rest test-cluster  ## Every test that this machine can run; `make -j2 -O test` takes half the time
endif

# Those on a real control plane: they wait more than they work.
test-cluster: built
	$(BIN)/python -m pytest -m "not release" tests/cluster

test-rest: built
	$(BIN)/python -m pytest -m "not release" --ignore tests/cluster

built: $(VENV)/.dev
	@$(BIN)/python cluster/build.py || test "$$PIPETRAIL_REQUIRE" != all

test-release: $(VENV)/.dev  ## All tests, the dear ones too, and eight times as many examples
	$(BIN)/python cluster/build.py --release
	$(BIN)/python -m pytest --hypothesis-profile=release $(TESTS)

check: lint test  ## Everything that must hold before a change lands

lint: $(VENV)/.dev  ## Style, types, import contracts, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(VENV)/.dev  ## Put the sources into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev  ## Write the generated pages of the reference anew
	$(BIN)/python docs/generate.py

calibrate: $(VENV)/.dev  ## How often verdicts are right, and how sure they are then
	$(BIN)/python -m tests.analysis.diagnosis.calibrate

bench: $(VENV)/.dev  ## Cost per event against the floor program; BENCH=--quick for a first look
	$(BIN)/python -m benchmarks.run $(BENCH)

cluster: $(VENV)/.run  ## A real control plane with simulated nodes, on loopback
	$(BIN)/python cluster/up.py up

cluster-down: $(VENV)/.run  ## Stop it
	$(BIN)/python cluster/up.py down

lock: $(VENV)/.dev  ## Resolve the versions anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group dev --extra opensearch --extra parquet --extra pulumi pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --constraint requirements/dev.txt --group build pyproject.toml -o requirements/run.txt
	@for name in $(basename $(notdir $(wildcard requirements/hooks/*.in))); do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url pyproject.toml requirements/hooks/$$name.in -o requirements/hooks/$$name.txt || exit; done

clean:  ## Remove what was made here
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pipetrail needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing pipetrail into $(VENV) ..."
	@test -e $(VENV)/.dev || $(PIP) install -q --require-hashes -r requirements/run.txt
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked tools into $(VENV) ..."
	@$(PIP) install -q --require-hashes -r requirements/dev.txt
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run
