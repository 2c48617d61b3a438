# What one can do here. Every target may be repeated; nothing is installed outside this folder, nothing reports home.
#
#   make setup   the Python environment in .venv, from pinned versions
#   make data    starter characters and base weights into data/
#   make demo    one character from kit to report (10 minutes on 2 cores)
#   make ui      Dagster on http://127.0.0.1:3000
#   make test    the whole test suite          make check   lint, format, types, definitions
#   make bench   every benchmark; rewrites docs/benchmarks.md
#   make lock    resolve the pinned versions again
#   make clean   caches and environments; never data/, runs/ or Dagster's history
#
# Variables: PYTHON (3.11 or 3.12), TORCH_INDEX (requirements/README.md), UNICHAR_HOME (where runs/ and .dagster/ go),
# UNICHAR_PRESET (what runs use when nothing is said: cpu).

SHELL := /bin/bash
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
DAGSTER_HOME ?= $(or $(UNICHAR_HOME),$(CURDIR))/.dagster
BIN := .venv/bin
DVC := .tools/dvc/bin/dvc
INSTALL := -m pip install --quiet --quiet

include .env
export DAGSTER_HOME $(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env)
export DVC_SITE_CACHE_DIR := $(CURDIR)/.dvc/tmp/site
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup data data-push home demo ui test check bench lock clean

setup: .venv/.installed

.venv/.installed: requirements/lock.txt requirements/torch.txt requirements/backbones.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
		|| { echo "Python 3.11 or 3.12 is needed: make setup PYTHON=python3.11"; exit 1; }
	@echo "Installing the environment into .venv (a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(INSTALL) --no-deps -r requirements/lock.txt -r requirements/backbones.txt
	@$(BIN)/python $(INSTALL) --no-index --no-deps -r requirements/torch.txt 2>/dev/null \
		|| $(BIN)/python $(INSTALL) --index-url $(TORCH_INDEX) -r requirements/torch.txt
	@$(BIN)/python $(INSTALL) --no-deps --editable .
	@touch $@

.tools/dvc/.installed: requirements/dvc-lock.txt
	@echo "Installing DVC into .tools/dvc"
	@$(PYTHON) -m venv .tools/dvc
	@.tools/dvc/bin/python $(INSTALL) --no-deps -r requirements/dvc-lock.txt
	@touch $@

data: .tools/data.pulled

.tools/data.pulled: data.dvc .tools/dvc/.installed
	@$(DVC) pull --quiet data.dvc || { echo "Nothing was removed. Move what is named above out of data/ and back after this,"; \
		echo "or make it part of the versioned data first: make data-push"; exit 1; }
	@touch $@

data-push: .tools/dvc/.installed
	$(DVC) add --quiet data
	$(DVC) push --quiet
	@touch .tools/data.pulled
	@echo "Now commit data.dvc and assets/dvc-remote."

home:
	@mkdir -p $(DAGSTER_HOME)
	@cmp --silent .dagster/dagster.yaml $(DAGSTER_HOME)/dagster.yaml || cp .dagster/dagster.yaml $(DAGSTER_HOME)/

demo: setup data home
	dagster job execute -m orchestration.definitions -j onboard_character -c configs/onboard_mochi.yaml
	@python -m unichar.pipeline.display --character mochi

ui: setup data home
	dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

test: setup data
	python -m pytest

check: setup home
	ruff check .
	ruff format --check .
	mypy
	dg check toml
	dg check defs
	dagster definitions validate -w workspace.yaml

bench: setup data
	python benchmarks/report.py

lock:
	rm -rf .tools/lock
	$(PYTHON) -m venv .tools/lock
	.tools/lock/bin/python $(INSTALL) --no-index --no-deps -r requirements/torch.txt \
		|| .tools/lock/bin/python $(INSTALL) --index-url $(TORCH_INDEX) -r requirements/torch.txt
	.tools/lock/bin/python $(INSTALL) --editable '.[dev]'
	.tools/lock/bin/pip freeze --exclude-editable --exclude torch > requirements/lock.txt
	$(PYTHON) -m venv --clear .tools/lock
	.tools/lock/bin/python $(INSTALL) dvc dvc-s3
	.tools/lock/bin/pip freeze > requirements/dvc-lock.txt

clean:
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find benchmarks orchestration unichar tests -name __pycache__ -prune -exec rm -rf {} +
