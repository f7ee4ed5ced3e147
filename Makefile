# `make` lists the chores; `make check` is what CI runs.
BIN ?= .venv/bin

.PHONY: help setup demo test crashes bench words check check-code format lint types floors migrations security packages

help:            ## list the chores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

setup:           ## make the virtual environment with everything that development needs
	python3 -m venv .venv
	$(BIN)/pip install -q -r requirements-dev.txt

demo:            ## run the demo: five simulated machines, pages and API on port 8000
	$(BIN)/python manage.py demo

test:            ## run the tests
	$(BIN)/pytest

crashes:         ## kill the gateway 100 times, start 10,000 batches, and look for a broken promise for long
	FULL=1 CRASHES=100 PROMISES=full $(BIN)/pytest tests/faults/test_crashes.py tests/faults/test_promises.py tests/journeys/test_many_starts.py

bench:           ## measure the gateway beside what a user would build instead; an hour, on a quiet computer
	$(BIN)/python -m tests.benchmarks

words:           ## gather the texts of the live pages for translation, and compile it (needs gettext)
	cd devices && export DATA_DIR=$$(mktemp -d) && for domain in django djangojs; do \
		$(abspath $(BIN))/python ../manage.py makemessages -d $$domain -l zh_Hans -i admin -i vendor --no-obsolete --no-wrap --add-location file; done
	cd devices && DATA_DIR=$$(mktemp -d) $(abspath $(BIN))/python ../manage.py compilemessages -l zh_Hans

check: check-code test  ## everything that CI runs

check-code: format lint types floors migrations security packages  ## everything but the tests

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

security:        ## bandit: what is known to be dangerous in our code
	$(BIN)/bandit -q -c pyproject.toml -r devices plcsite

packages:        ## pip-audit: known vulnerabilities of what the gateway runs on
	$(BIN)/python .ci/audit_packages.py
