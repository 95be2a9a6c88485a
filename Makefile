# Every target does all its own set-up: on a bare Debian-like machine, python3, git and make are enough.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
ENV_STAMP := $(VENV)/.synced
# Opens a virtual screen only where there is none.
ON_SCREEN := $(if $(DISPLAY)$(WAYLAND_DISPLAY),,xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX")
# One thread each: small models gain more from a second process than from a second thread.
ON_EVERY_CORE := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
OUT ?= demo_output

.PHONY: demo test test-slow test-cells env screen lint lock clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: env screen ## run the whole loop on sample data in a real window; results in $(OUT)/
	$(ON_SCREEN) $(BIN)/napari-infosam demo --out $(OUT)

test: env screen lint ## lint, types, import contracts and every test that is not slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ON_EVERY_CORE) -m "not slow"

test-slow: env screen ## the slow tests: all official model sizes, oldest and newest napari, the built wheel
	$(BIN)/python -m pytest -m slow
	.ci/setup oldest $(VENV)-oldest
	# What its neighbours deprecate, which are newer than the lock, is no error here.
	OMP_NUM_THREADS=1 $(VENV)-oldest/bin/python -m pytest $(ON_EVERY_CORE) -m "not slow" -W default::DeprecationWarning \
		tests/napari_infosam tests/integration

test-cells: env ## of test-slow: each PEFT with each distillation method on each family of models, 15 minutes
	$(BIN)/python -m pytest tests/core/test_cells.py

lint: env ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

env: $(ENV_STAMP) ## build .venv from requirements.lock and install the project into it, editable

$(ENV_STAMP): requirements.lock pyproject.toml .ci/setup
	.ci/setup env $(VENV)
	touch $@

screen: ## make sure that a window can be opened
	.ci/setup screen

lock: ## renew requirements.lock from pyproject.toml
	.ci/setup lock

clean: ## remove what the other targets made
	rm -rf $(VENV) $(VENV)-oldest .venv-tools demo_output dist .mypy_cache .ruff_cache .pytest_cache
