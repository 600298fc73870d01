# What a person does here, and nothing else: CI runs the same.
.DEFAULT_GOAL := help
.PHONY: help setup run test server-test check coverage format bench bench-server lock
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

BIN := control-panel/venv/bin
PYTEST := $(BIN)/python -m pytest
SCRIPTS = $$(git ls-files -co --exclude-standard '*.sh' .ci/run)
# Checks look at no data of a panel that was set up here.
APART := WEBOPS_VAR=$(CURDIR)/.mypy_cache/var
CORE_TESTS := $(patsubst %,tests/host/test_%.py,activated alarm codec conversations errors fences fuzz linux_host names pgd \
	protocol server values)
# A suite may be empty (pytest's status 5), never failing.
OR_EMPTY := || [ $$? -eq 5 ]

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup:  ## what the tests need: environment, and programs from Debian
	@control-panel/environment.sh --dev
	@tests/prerequisites.sh

run:  ## the panel, its worker and the embedded host, on this computer
	@control-panel/quickstart.sh

test: check  ## every check and every test
	$(PYTEST) -q -n 3 --dist worksteal -m "not slow and not browser and not server" --ignore tests/shape $(OR_EMPTY)
	$(MAKE) --no-print-directory coverage
	$(PYTEST) -q -m "slow and not browser and not server" --durations=15 $(OR_EMPTY)
	$(PYTEST) -q -m "browser" $(OR_EMPTY)
	$(MAKE) --no-print-directory server-test

server-test:  ## the platform on booted servers of each Debian; needs root and what `make setup` installs
	$(PYTEST) -q -m "server" tests/server --durations=15 $(OR_EMPTY)

check:  ## style, types, direction of imports, scripts, migrations, sizes and documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(APART) $(BIN)/mypy host/src cli/src install control-panel/apps control-panel/config
	@said=$$($(BIN)/lint-imports) && tail -n 1 <<< "$$said" || { echo "$$said"; exit 1; }
	$(BIN)/shellcheck $(SCRIPTS)
	cd control-panel && $(APART) venv/bin/python manage.py makemigrations --check --dry-run
	cd control-panel && $(APART) venv/bin/python manage.py check
	$(PYTEST) -q tests/shape

coverage:  ## every branch of the trusted core (docs/security.md) is tested; fails below 100 %
	$(BIN)/python -m coverage run -m pytest -q -m "not slow" $(CORE_TESTS)
	$(BIN)/python -m coverage report

format:  ## put the code into the one form
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

bench:  ## measure, each path against its floor
	$(BIN)/python -m bench

bench-server:  ## measure the platform on a booted server; needs what `make server-test` needs, and a quiet machine
	$(BIN)/python -m bench server

lock:  ## choose the newest versions that fit, into the lock files
	tests/lock.sh
