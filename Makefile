# The two commands that a newcomer needs are `make demo` and `make test`; both build .venv when it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint format notebook bench wheel-test clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt hatch_build.py $(wildcard src/wider/native/kernels/*.[ch])
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@

demo: setup
	$(BIN)/wider demo

test: lint
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebook: setup
	$(BIN)/python examples/execute.py

bench: setup
	$(BIN)/wider bench --output bench-results

wheel-test:
	PYTHON=$(PYTHON) .ci/wheel.sh

clean:
	rm -f src/wider/native/kernels/*.so src/wider/native/kernels/*.dylib
	rm -rf .venv demo-runs demo-report.html bench-results
