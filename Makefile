# KEP Gateway. `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE ?= .state
WORKERS ?= auto
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run demo test check fmt bench chaos lock clean peers

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=…")'
	@echo "· virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python requirements/base.txt pyproject.toml
	@echo "· installing what requirements/base.txt pins (one to two minutes the first time)"
	@$(PIP) install --require-hashes -r requirements/base.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements/dev.txt
	@echo "· installing what requirements/dev.txt pins"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

run: $(VENV)/.runtime ## start everything, send one letter end to end, keep serving (Ctrl-C stops)
	@$(BIN)/kepgw up --state $(STATE)

demo: $(VENV)/.runtime ## the same in a directory of its own, then exit; KEPGW_DEMO_PACKAGE=file.eyp sends that file
	@$(BIN)/kepgw demo

test: $(VENV)/.development peers ## the whole test suite, in parallel
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(T)

peers:
	@sh tests/support/install_peers.sh

check: $(VENV)/.development ## linters, types, import contracts: what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.development ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.development ## benchmarks, each beside a reference in the same run; NAME=directory runs one
	@$(BIN)/python -m tests.benchmarks $(NAME)

chaos: $(VENV)/.development ## ten to twenty minutes: 1,000 letters while processes are killed and providers fail; SEED=n repeats a plan
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

lock: $(VENV)/.development ## pin newer versions into requirements/*.txt
	@for name in base dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --upgrade requirements/$$name.in --output-file requirements/$$name.txt; \
	done

clean: ## remove the environment, state and caches
	@rm -rf $(VENV) $(STATE) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
