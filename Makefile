# Everything needs only Python >= 3.11 with venv, and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A checkout that is newer than the installation is installed again.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

# How many processes share the tests; every test is independent of all others.
WORKERS ?= 2
TESTS  := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help run test check browser bench bench-discovery bench-makespan process-matrix scale-out soak docs clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stepwave needs Python 3.11 or newer; make PYTHON=/path/to/it")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,formats,browser]'
	@touch $@ $(RUN_STAMP)

run: $(RUN_STAMP) ## install into .venv and run the quickstart workflow
	$(BIN)/stepwave run examples/workflows/quickstart.yaml

test: $(DEV_STAMP) ## all checks and tests; WORKERS=8 where there are as many CPUs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TESTS)

check: $(DEV_STAMP) ## the quick half of `make test`: format, lint, types, the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TESTS) tests/test_house.py tests/core

browser: $(DEV_STAMP) ## the page of a run in a real browser; pictures in build/screenshots
	STEPWAVE_SCREENSHOTS=build/screenshots $(BIN)/python -m pytest tests/browser

bench: $(DEV_STAMP) ## measure against make, ninja and other runners
	$(BIN)/python benchmarks/run.py

bench-discovery: $(DEV_STAMP) ## measure how fast and how well code is read
	$(BIN)/python benchmarks/discovery.py

bench-makespan: $(DEV_STAMP) ## how near a run comes to the time that no schedule beats, on real task graphs
	$(BIN)/python benchmarks/makespan.py

process-matrix: $(DEV_STAMP) ## look what is left of a step: every shape of a tree, every way to die
	$(BIN)/python benchmarks/process_matrix.py

scale-out: $(DEV_STAMP) ## 1,000 steps on a real Dask cluster and a real Slurm, with the same result as here; then what that costs
	STEPWAVE_SCALE_OUT=1 $(BIN)/python -m pytest -rs tests/edge/executors -k 'thousand or test_slurm'
	$(BIN)/python benchmarks/scale_out.py

soak: $(DEV_STAMP) ## kill the runner 200 times, resume each time, see that nothing is lost
	$(BIN)/python benchmarks/soak.py

docs: $(DEV_STAMP) ## write anew what is made from the program: docs/cli.md and docs/board.svg
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/picture.py

clean: ## remove what the targets above made
	rm -rf $(VENV) .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
