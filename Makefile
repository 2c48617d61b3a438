# What one can do here. Every target may be repeated; nothing is installed outside this folder, nothing is reported
# to anybody.
#
#   make setup       the Python environment in .venv, from pinned versions
#   make data        starter characters and base weights into data/
#   make demo        one character from kit to report (10 to 16 minutes on 2 cores)
#   make ui          Dagster on http://127.0.0.1:3000
#   make test        the whole test suite         make test-quick   without the slow tests
#   make check       lint, format, types, definitions
#   make docs        the documentation as a site, into site/
#   make bench       every benchmark; rewrites docs/benchmarks.md
#   make lock        resolve the pinned versions again
#   make check-paths the folders in use; says whether make can work in them
#   make clean       caches and environments; never data/, kits/, runs/ or Dagster's history
#
# Variables: PYTHON (3.11 or 3.12), TORCH_INDEX (requirements/README.md), UNICHAR_HOME (where runs/, kits/ and .dagster/
# go), UNICHAR_KITS (where users' kits lie), UNICHAR_PRESET (what runs use when nothing is said: cpu), UNICHAR_DEVICE
# (where models run: auto, cpu or cuda; docs/nano.md).

SHELL := /bin/bash
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := .venv/bin
DVC := .tools/dvc/bin/python -m dvc
INSTALL := -m pip install --quiet --quiet

# Paths. Make splits names at spaces and expands `$`, so targets and prerequisites are relative, and absolute paths travel
# in the environment, where no character is changed: a recipe writes "$$DAGSTER_HOME", never $(DAGSTER_HOME). Programs are
# started as `python -m`, because a script's first line cannot hold every path.
FOLDERS := UNICHAR_HOME UNICHAR_KITS UNICHAR_DATA DAGSTER_HOME
$(foreach name,$(FOLDERS),$(if $(value $(name)),$(eval override export $(name) := $$(value $(name)))))
absolute = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
ifeq ($(DAGSTER_HOME),)
export DAGSTER_HOME := $(if $(UNICHAR_HOME),$(call absolute,$(UNICHAR_HOME)),$(CURDIR))/.dagster
endif

# Characters that no quoting makes work: `:` separates the entries of PATH (Python refuses such environments), Dagster puts
# the path of its databases into a URL without escaping ? and %, DVC's progress bars read { and } as a format.
define NEWLINE


endef
TAB := $(shell printf '\t')
IMPOSSIBLE := : ? % { }
impossible_in = $(strip $(foreach sign,$(IMPOSSIBLE),$(if $(findstring $(sign),$(1)),$(sign)))\
	$(if $(findstring $(NEWLINE),$(1)),line-break)$(if $(findstring $(TAB),$(1)),tab))
refuse = $(error make cannot work in "$(1)": its path holds $(2). Nothing was written. \
	Rename the folder or choose another; all letters, digits, spaces and signs work but $(IMPOSSIBLE), tabs and line breaks)
check_path = $(if $(call impossible_in,$(1)),$(call refuse,$(1),$(call impossible_in,$(1))))
$(foreach name,CURDIR $(FOLDERS),$(call check_path,$($(name))))

include .env
export $(shell sed -n 's/^\([A-Z0-9_]*\)=.*/\1/p' .env)
# Relative, because DVC's cache expands `$NAME` in this path.
export DVC_SITE_CACHE_DIR := .dvc/tmp/site
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(CURDIR)/$(BIN):$(value PATH)

.PHONY: setup data data-push home demo ui test test-quick check docs bench lock check-paths clean

setup: .venv/.editable

.venv/.installed: requirements/lock.txt requirements/torch.txt requirements/backbones.txt requirements/base.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
		|| { echo "Python 3.11 or 3.12 is needed: make setup PYTHON=python3.11"; exit 1; }
	@echo "Installing the environment into .venv (a few minutes)"
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/python $(INSTALL) --no-deps -r requirements/lock.txt -r requirements/backbones.txt \
		-r requirements/base.txt
	@$(BIN)/python $(INSTALL) --no-index --no-deps -r requirements/torch.txt 2>/dev/null \
		|| $(BIN)/python $(INSTALL) --index-url $(TORCH_INDEX) -r requirements/torch.txt
	@touch $@

# On its own, because the command `unichar` and package data follow pyproject.toml, and its versions do not.
.venv/.editable: .venv/.installed pyproject.toml
	@$(BIN)/python $(INSTALL) --no-deps --editable .
	@touch $@

.tools/dvc/.installed: requirements/dvc-lock.txt
	@echo "Installing DVC into .tools/dvc"
	@"$(PYTHON)" -m venv .tools/dvc
	@.tools/dvc/bin/python $(INSTALL) --no-deps -r requirements/dvc-lock.txt
	@touch $@

data: data/.pulled

# The mark lies in data/, so that it goes when the folder goes. DVC leaves hidden files alone (.dvcignore).
data/.pulled: data.dvc .tools/dvc/.installed
	@.tools/dvc/bin/python tools/pull_data.py
	@touch $@

data-push: .tools/dvc/.installed
	$(DVC) add --quiet data
	$(DVC) push --quiet
	@touch data/.pulled
	@echo "Now commit data.dvc and assets/dvc-remote."

home:
	@mkdir -p -- "$$DAGSTER_HOME"
	@cmp --silent .dagster/dagster.yaml "$$DAGSTER_HOME/dagster.yaml" \
		|| cp --backup=numbered -- .dagster/dagster.yaml "$$DAGSTER_HOME/"

demo: setup data home
	$(BIN)/python -m dagster job execute -m orchestration.definitions -j onboard_character -c configs/onboard_mochi.yaml

ui: setup data home
	$(BIN)/python -m dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

test: setup data
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-quick: setup data
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

check: setup home docs
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m dagster_dg_cli.cli check toml
	$(BIN)/python -m dagster_dg_cli.cli check defs
	$(BIN)/python -m dagster definitions validate -w workspace.yaml

docs: setup
	$(BIN)/python -m mkdocs build --strict

bench: setup data
	$(BIN)/python benchmarks/report.py

lock:
	rm -rf .tools/lock
	"$(PYTHON)" -m venv .tools/lock
	.tools/lock/bin/python $(INSTALL) --no-index --no-deps -r requirements/torch.txt \
		|| .tools/lock/bin/python $(INSTALL) --index-url $(TORCH_INDEX) -r requirements/torch.txt
	.tools/lock/bin/python $(INSTALL) --editable '.[dev]'
	.tools/lock/bin/python -m pip freeze --exclude-editable --exclude torch > requirements/lock.txt
	"$(PYTHON)" -m venv --clear .tools/lock
	.tools/lock/bin/python $(INSTALL) dvc dvc-s3
	.tools/lock/bin/python -m pip freeze > requirements/dvc-lock.txt

check-paths:
	@printf '%-8s %s\n' checkout "$$PWD" runs "$${UNICHAR_HOME:-$$PWD}/runs" \
		kits "$${UNICHAR_KITS:-$${UNICHAR_HOME:-$$PWD}/kits}" data "$${UNICHAR_DATA:-$$PWD/data}" dagster "$$DAGSTER_HOME"

clean:
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache site *.egg-info
	find benchmarks orchestration unichar tests -name __pycache__ -prune -exec rm -rf {} +
