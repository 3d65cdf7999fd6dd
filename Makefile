# Two commands for users: `make demo`, `make test`. The rest is for who changes the project.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup demo test check format bench contracts schemas reference lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/parindex fetch
	@touch $@

demo: setup
	$(BIN)/parindex demo

test: check
	$(BIN)/pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.contracts --check
	$(BIN)/python -m deploy.reference --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contracts: setup
	$(BIN)/python -m deploy.contracts
	$(BIN)/python -m deploy.reference

schemas: setup
	$(BIN)/python -m deploy.contracts

reference: setup
	$(BIN)/python -m deploy.reference

bench: setup
	$(BIN)/python -m tests.bench

lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
