# Each target does its own set-up. Python 3.11+, make and git are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tools that tests drive against a running server: devpi's client wants the name of our own command.
CLIENTS := .venv-clients
# A devpi-server, for our `devpi` to talk to.
DEVPI := .venv-devpi
SERVERDIR ?= $(HOME)/.devpi/server
PORT ?= 3141
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test check format bench lock clean

serve: $(VENV)/.run  ## install, create the server's data on first use, serve on http://localhost:3141
	$(BIN)/devpi-server --init --serverdir "$(SERVERDIR)" --port $(PORT) $(ARGS)

test: check  ## what CI runs: lint, types, architecture, every test

check: $(VENV)/.dev $(CLIENTS)/.done $(DEVPI)/.done
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: $(VENV)/.dev
	$(BIN)/ruff check --fix --exit-zero --quiet src tests bench
	$(BIN)/ruff format src tests bench

bench: $(VENV)/.dev  ## ratios against nginx, measured in one run (README has the table)
	$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.dev  ## refresh the lock files; they name no registry
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --extra dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate requirements-clients.in -o requirements-clients.lock
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate requirements-devpi.in -o requirements-devpi.lock

clean:
	rm -rf $(VENV) $(CLIENTS) $(DEVPI) .mypy_cache .pytest_cache .ruff_cache .coverage*

$(BIN)/python:
	$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {v}. Say which one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	touch $@

$(VENV)/.dev: $(BIN)/python requirements-dev.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps -e .
	touch $@ $(VENV)/.run

$(CLIENTS)/.done: requirements-clients.lock | $(VENV)/.dev
	$(BIN)/python -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-clients.lock
	touch $@

$(DEVPI)/.done: requirements-devpi.lock | $(VENV)/.dev
	$(BIN)/python -m venv --clear $(DEVPI)
	$(DEVPI)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-devpi.lock
	touch $@
