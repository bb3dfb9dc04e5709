# make demo    the main job against the simulated organisation
# make test    everything CI runs: check, tests, and the wheel in a fresh environment
# make check   format, lint, types, import contracts
# make bench   measurements beside a peer or a bound
#
# Each target sets itself up from a bare checkout: a virtual environment in .venv and the
# Python packages it needs. With root, or a sudo that asks no password, it installs Debian
# packages too: Python's venv module where it is missing, and for `make test` the programs that
# the lab is tried with. Without, it says what is missing.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

DATA := $(wildcard $(abspath ../shared/data))
ifneq ($(DATA),)
export MAILMIG_TEST_DATA ?= $(DATA)
endif

.PHONY: demo demo-steps test check bench package clean
.DEFAULT_GOAL := check

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mailmig needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq python3-venv; \
	  elif sudo -n true 2>/dev/null; then sudo apt-get update -qq && sudo apt-get install -y -qq python3-venv; \
	  else echo "Python's venv module is missing: install the package python3-venv, then run make again"; exit 1; fi; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --editable '.[lab,plan,report]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@ $(VENV)/demo.stamp

# One step of the demo: shows the command as an admin would type it, then runs it.
step = @echo; echo "\$$ $(1)"; PATH="$(abspath $(BIN)):$$PATH" MAILMIG_STATE=$(DEMO)/state $(1)

# The lab runs beside the steps. It ends when they do, when one fails, at Ctrl-C, and by itself
# after five minutes.
LAB = mailmig lab run --speed 0 --port-offset 14000 --folder $(DEMO)/lab

demo: $(VENV)/demo.stamp
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@echo; echo "\$$ $(LAB) &"; \
	  trap 'kill $$steps $$lab 2>/dev/null; wait $$steps $$lab 2>/dev/null' EXIT; \
	  trap 'exit 130' INT; trap 'exit 143' TERM HUP; \
	  PATH="$(abspath $(BIN)):$$PATH" timeout 300 $(LAB) > $(DEMO)/lab.log 2>&1 & lab=$$!; \
	  until grep -q 'Ctrl-C ends it' $(DEMO)/lab.log; do \
	    kill -0 $$lab 2>/dev/null || { cat $(DEMO)/lab.log; exit 1; }; sleep 0.2; done; \
	  tail -n 1 $(DEMO)/lab.log; \
	  $(MAKE) --no-print-directory demo-steps & steps=$$!; wait $$steps

demo-steps:
	$(call step,mailmig --config $(DEMO)/lab/mailmig.toml inventory take)
	$(call step,mailmig inventory show)
	$(call step,mailmig lab export $(DEMO)/before --story town)
	$(call step,mailmig plan make --calendar $(DEMO)/before/calendar --out $(DEMO)/plan.json)
	$(call step,mailmig lab export $(DEMO)/after --story town --moment after)
	$(call step,mailmig inventory import $(DEMO)/after)
	$(call step,mailmig report quota)
	$(call step,mailmig report quota --out $(DEMO)/quota.html)
	$(call step,mailmig report quota --out $(DEMO)/quota.xlsx)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --quiet --check . || { echo "format: run .venv/bin/ruff format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>&1 | grep -v '^$$' | tail -n 25; exit $${PIPESTATUS[0]}

test: check
	@bash tests/lab/install-strangers.sh $(BIN)/python
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --ignore=tests/package
	@$(MAKE) --no-print-directory package

package: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -q tests/package

bench: $(VENV)/dev.stamp
	@$(BIN)/python tests/bench/run.py $(ONLY)

clean:
	rm -rf $(VENV) build dist $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
