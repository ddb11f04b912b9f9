# make demo    the whole pipeline on a puppet, and something to look at; METHODS=all compares all methods
# make test    all tests
# make lint    ruff and mypy
# make bench   the benchmarks, figures on standard output (see BENCHMARKS.md)
# make lock    renew requirements.lock from pyproject.toml
# make clean   remove what the above have made, but not your data
#
# Each makes .venv from the lock on first use; nothing but Python 3.11 or 3.12 and pip is needed.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECK := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
# The first Python of the right age that really runs: a shim on the path may stand for nothing.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c '$(CHECK)' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: demo test lint bench lock clean

demo: $(READY)
	@$(BIN)/memdub demo $(if $(METHODS),--methods $(METHODS))

test: $(READY)
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)
	@$(BIN)/python -m tests.bench $(ARGS)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "memdub needs Python 3.11 or 3.12: install one, or run make PYTHON=/path/to/it" >&2; exit 2; }
	@echo "Making $(VENV) from requirements.lock (once, a few minutes)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check
	@touch $@

lock:
	@rm -rf build/lock
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet -e '.[dev]' torch==2.13.0
	@{ echo "# What memdub is tested with, exactly: pip freeze of an environment made from pyproject.toml."; \
	   echo "# Renew it with: make lock"; \
	   build/lock/bin/python -m pip freeze --exclude memdub | sed 's/+cpu$$//'; } > requirements.lock

clean:
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
