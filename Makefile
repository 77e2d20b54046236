# Everything a newcomer needs: `make demo` and `make test` set up what they use.
# Only Python 3.11 or newer is asked for; no root, no Docker, no Bluetooth.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each has servers of its own. Idle hands take tests over from the other: --dist worksteal.
WORKERS ?= 2
ROOMS := devices gateway ingest alerts simulator

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-bluez check format bench docs lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp  ## Start the whole chain with invented patients; Ctrl-C stops it
	@exec $(BIN)/python -m simulator demo $(ARGS)

test: $(VENV)/dev.stamp  ## Run every test; real components where they are installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-quick: $(VENV)/dev.stamp  ## Run the tests that take less than ten seconds each
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not browser" $(ARGS)

# KERNEL is an unpacked Debian kernel: tests/bluez/kernel.sh DIRECTORY
KERNEL ?= $(CURDIR)/.cache/kernel
test-bluez: $(VENV)/dev.stamp  ## Run the radio's scenarios on a real bluetoothd, in a virtual machine
	$(BIN)/python -m compileall -q devices gateway simulator tests
	$(BIN)/python tests/bluez/machine.py --kernel $(KERNEL) --set EGENMONITOR_SCENARIO_RADIO=bluez \
		$(CURDIR)/$(BIN)/python -m pytest -q -p no:randomly -p no:cacheprovider --color=no \
		--tb=short --durations=6 tests/scenarios

check: $(VENV)/dev.stamp  ## Lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(ROOMS) tests bench
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp  ## Measure; ratios come last
	$(BIN)/python bench/gateway.py
	$(BIN)/python bench/ingest.py
	$(BIN)/python bench/registry.py
	$(BIN)/python bench/dry_run.py

docs: $(VENV)/dev.stamp  ## Write the documents that are generated from code
	$(BIN)/python -m devices.asyncapi docs/
	$(BIN)/python -m devices.models docs/

# Locks are hashed and universal, and name no index.
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml
lock: $(VENV)/dev.stamp  ## Renew the hashed lock files
	$(BIN)/pip install --quiet uv
	for room in gateway ingest alerts simulator demo dev; do \
		$(UV_COMPILE) --extra $$room --output-file requirements/$$room.txt || exit 1; \
	done

clean:  ## Remove what was made here, the demo's data included
	rm -rf $(VENV) .demo .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Cure: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make virtual environments."; \
		echo "Cure on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/%.stamp: requirements/%.txt | $(BIN)/python
	@echo "Installing what $* needs into $(VENV) (the first time only) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
