# Everything runs in the project's own environment, set up from nothing but Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
# As many tests at once as there are CPUs, up to four, since a process of them takes 2 GB; tests/at_once.py has the rest.
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-slow readme environment clean

quickstart: environment
	$(BIN)/regtune trial sweeps/random_labels.toml
	$(BIN)/regtune run sweeps/quickstart.toml

test: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow" $(AT_ONCE)

test-slow: environment
	$(BIN)/pytest -m slow

# The README's table of methods from the shelf; a test says when it is stale.
readme: environment
	$(BIN)/regtune list --format md > .venv/methods.md
	sed -e '/<!-- methods:/,/<!-- end of methods/{//!d;}' -e '/<!-- methods:/r .venv/methods.md' README.md > .venv/README.md
	cp .venv/README.md README.md

environment: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
