# `make` lists the chores; `make check` is what CI runs.
BIN ?= .venv/bin

.PHONY: help setup demo test crashes check check-code format lint types floors migrations

help:            ## list the chores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

setup:           ## make the virtual environment with everything that development needs
	python3 -m venv .venv
	$(BIN)/pip install -q -r requirements-dev.txt

demo:            ## run the demo: five simulated machines, pages and API on port 8000
	$(BIN)/python manage.py demo

test:            ## run the tests
	$(BIN)/pytest

crashes:         ## kill the gateway 100 times, and look for a broken promise for long
	CRASHES=100 PROMISES=full $(BIN)/pytest tests/faults/test_crashes.py tests/faults/test_promises.py

check: check-code test  ## everything that CI runs

check-code: format lint types floors migrations  ## everything but the tests

format:          ## is the code formatted?
	$(BIN)/ruff format --check .

lint:            ## ruff, with the bans of the house
	$(BIN)/ruff check .

types:           ## mypy, strict on modbus, plc, control, api and live
	$(BIN)/mypy

floors:          ## imports point down only
	$(BIN)/lint-imports

migrations:      ## models and migrations are in step
	DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
