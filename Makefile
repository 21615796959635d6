# Two commands are all a newcomer needs: `make sandbox` and `make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# What may be set on the command line.
PORT ?= 8600
SEED ?= 42
LIMIT_SCALE ?= 1
KEEP ?= 0
ARGS ?=
JOBS ?= 3
BENCH ?= -m bench

.PHONY: help setup sandbox test check format bench constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make sandbox PORT=8600 SEED=42 LIMIT_SCALE=1 KEEP=0    (the defaults)"
	@echo "  make test ARGS='tests/unit -x'                         (passed on to pytest)"
	@echo "  make test ARGS='-n0 tests/unit/test_logs.py --pdb'     (in one process)"

setup: $(READY) ## prepare .venv with the pinned packages and the tellus command

# The stamp is newer than both lists when the environment is theirs; then setup does nothing.
$(READY): pyproject.toml constraints.txt
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	    if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	        >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "tellus needs Python 3.11 or newer with venv (Debian, Ubuntu: apt install python3-venv)" >&2; \
	    exit 1; \
	  fi; \
	  echo "Preparing $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV) || exit 1; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
	  --no-deps --no-build-isolation --editable .
	@touch $@

# `exec`, so that a signal reaches the sandbox and not a shell in between.
sandbox: setup ## start the platform with a living demo fleet on 127.0.0.1:8600
	@exec $(BIN)/tellus sandbox --port $(PORT) --seed $(SEED) --limit-scale $(LIMIT_SCALE) \
	  $(if $(filter-out 0,$(KEEP)),--keep)

# What belongs together stays in one process: tests/sharing.py.
test: setup ## run the whole test suite, in three processes
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: setup ## lint, formatting, types, import contracts
	@held=0; \
	for check in 'ruff check .' 'ruff format --check .' mypy lint-imports; do \
	  echo "-- $$check"; $(BIN)/$$check || held=1; \
	done; \
	exit $$held

format: setup ## format and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: setup ## measure; results are printed with their figures
	@exec $(BIN)/python $(BENCH) $(ARGS)

# Addresses of package indexes set on this machine must not reach the file, hence the clean
# environment; the files' hashes come from the public index. `ARGS=--upgrade` takes newer versions.
constraints: setup ## pin every package again, with hashes, from pyproject.toml
	@env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_INDEX_URL PIP_CONFIG_FILE=/dev/null \
	  $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
	  --extra dev --all-build-deps $(ARGS) --output-file constraints.txt pyproject.toml
	@{ \
	  echo '# Every package that `make setup` installs, for running and for development, with the'; \
	  echo '# hashes of all its files: one list for Linux and macOS, x86-64 and ARM, Python 3.11 to'; \
	  echo '# 3.13. Written by `make constraints` from pyproject.toml; do not edit.'; \
	  cat constraints.txt; \
	} > constraints.new && mv constraints.new constraints.txt

clean: ## remove the environment, caches and build products (not the data in var/)
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
