# Everything runs in the project's own environment, set up from nothing but Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
# As many tests at once as there are CPUs, up to four, since a process of them takes 2 GB; tests/at_once.py has the rest.
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-slow generated pictures docs environment clean

quickstart: environment
	$(BIN)/regtune trial sweeps/random_labels.toml
	$(BIN)/regtune run sweeps/quickstart.toml

# Compiled beforehand, since where PYTHONDONTWRITEBYTECODE is set each process of a test would compile regtune again.
test: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m compileall -q regtune
	$(BIN)/pytest -m "not slow" $(AT_ONCE)

test-slow: environment
	$(BIN)/pytest -m slow

# The parts of README.md and docs/ that are made from the code, between their markers; a test says when one is stale.
generated: environment
	$(BIN)/python docs/generate.py

# Pictures of a run of the quickstart; the one of the report needs chromium.
pictures: environment
	$(BIN)/python docs/pictures.py results/quickstart

# The site, in site/: open site/index.html. Its search needs a server: python3 -m http.server --directory site
docs: .venv/docs
	$(BIN)/mkdocs build --strict

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

environment: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
