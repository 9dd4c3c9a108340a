# Bare `make` is what CI runs. Every target sets up what it needs; a fresh machine needs only
# Python 3.11 or later with venv, and make.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: all setup demo test lint types contract docs bench soak clean
.DEFAULT_GOAL := all

all: lint types contract test ## what CI runs

setup: $(READY) ## the virtual environment with Howdah, its extras and a PostgreSQL 18

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Howdah needs Python 3.11 or later. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python's venv module is missing. Try: apt-get install python3-venv"; exit 2; }
	@echo "Setting up .venv (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[server,test,lint]'
	@touch $@

demo: $(READY) ## plant the diseases, diagnose, cure, diagnose again
	@$(BIN)/howdah demo

test: $(READY) ## every test; those whose parts are absent are skipped by name
	@$(BIN)/pytest

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY)
	@$(BIN)/mypy

contract: $(READY) ## who may import whom
	@$(BIN)/lint-imports

docs: $(READY) ## regenerate what is generated: rule pages, command line reference
	@$(BIN)/python docs/generate.py

BENCHES ?= snapshot log outbox queue

bench: $(READY) ## Howdah beside other systems and bare statements; BENCHES=queue for one; alone
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[bench]'
	@for each in $(BENCHES); do $(BIN)/howdah bench $$each || exit $$?; done

soak: $(READY) ## the long random runs
	@$(BIN)/pytest -m soak --override-ini addopts="--strict-markers"

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
