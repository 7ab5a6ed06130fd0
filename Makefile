# The entry point for all work: `make` lists the targets. CI runs the same ones (.ci/run).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
SYNC = "$$(.ci/uv)" sync --quiet --locked --inexact --python "$$(command -v $(PYTHON))"
export UV_PYTHON_DOWNLOADS := never
# With it, every command that a test starts would compile all its imports again.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(BIN):$(PATH)

HEAVY = python -m tests.heavy.need $(if $(BASE),--base "$(BASE)") $(if $(RECORD),--record) $(FILES)
# Distributed by file, in the order of tests/durations.json.
WORKERS = -n 2 $(BY_FILE)
BY_FILE = --dist loadfile --no-loadscope-reorder
# The tests that cover the sources under [tool.coverage.run] in pyproject.toml.
COVERING = $(addprefix tests/lifecycle/,drain prune rollout test_fenced.py test_key.py rollout/test_revert.py update/test_replica_progress.py update/test_unfinished.py) \
	tests/lifecycle/canary/test_updates.py tests/cli/test_key.py tests/cli/test_key_pull.py tests/cli/test_not_stale.py tests/runner tests/fleet/test_keys_file.py tests/state

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-fast test-heavy test-heavy-all test-machines lint types unit mutants coverage lab-test test-times molecule wheel-test dist programs bench down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

quickstart: .venv/ready ## From nothing to a real answer on disposable hosts (needs root)
	@python -m rackwright.lab.quickstart

test: .venv/ready-molecule programs ## Run everything: lint, types, unit tests, wheel, molecule, lab tests (needs root)
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint types coverage wheel-test molecule
	@$(MAKE) --no-print-directory unit lab-test COVERED="$(COVERING)"

test-heavy: .venv/ready ## Run heavy tests that cover the change, and a fifth of the rest (root; BASE=, RECORD=1, FILES=)
	@$(HEAVY) -- $(WORKERS) --junitxml=.junit/heavy.xml

test-heavy-all: .venv/ready ## Run all heavy tests except those on virtual machines, before a release (root; BASE=, RECORD=1)
	@$(HEAVY) --all -- $(WORKERS) --junitxml=.junit/heavy.xml

test-machines: .venv/ready ## Run the same choice on virtual machines; slow without KVM (root; ALL=1, BASE=, RECORD=1)
	@$(HEAVY) --machines $(if $(ALL),--all) -- $(WORKERS) --junitxml=.junit/machines.xml

test-fast: lint types unit ## Run everything that needs no hosts

lint: .venv/ready ## Run ruff's rules and format check, and check the words
	@ruff check --quiet .
	@ruff format --quiet --check .
	@python -m tests.words

types: .venv/ready ## Run mypy (strict)
	@mypy

unit: .venv/ready programs ## Run the tests that need no hosts
	@python -m pytest -m "not lab and not heavy" $(addprefix --ignore=,$(COVERED)) -n 4 $(BY_FILE) --junitxml=.junit/unit.xml

mutants: .venv/ready programs ## Check that unit tests notice wrong lines; hours on two cores (benchmarks/README.md)
	@nice -n 19 python -m benchmarks.mutants
	@nice -n 19 python -m benchmarks.text_mutants

coverage: .venv/ready ## Check that unit tests run every line and branch of rollouts, runner, state, prune, keys, drains
	@mkdir -p .coverage
	@python -m coverage run -m pytest $(COVERING) --junitxml=.junit/coverage.xml
	@python -m coverage report

lab-test: .venv/ready ## Run the tests on disposable hosts (needs root)
	@python -m pytest -m "lab and not heavy" -n 3 $(BY_FILE) --junitxml=.junit/lab.xml

test-times: .venv/ready ## Show how long the tests of the last runs took
	@python -m tests.times $(wildcard .junit/*.xml)

molecule: .venv/ready-molecule programs ## Run the molecule scenarios: an apply, and a recovery drill (needs root)
	@for name in default drill; do molecule test --scenario-name "$$name"; done

programs:
	@.ci/programs

dist: .venv/ready ## Build the sdist, and a wheel from it, in dist/
	@rm -rf dist
	@"$$(.ci/uv)" build --quiet --python "$(BIN)/python" --out-dir dist

wheel-test: dist ## Check that the wheel runs and plans when installed elsewhere
	@folder="$$(mktemp -d)"; trap 'rm -rf "$$folder"' EXIT; uv="$$(.ci/uv)"; \
	"$$uv" venv --quiet --python "$(BIN)/python" "$$folder/venv"; \
	"$$uv" pip install --quiet --python "$$folder/venv/bin/python" dist/*.whl; \
	mkdir "$$folder/tests"; cp tests/fakes.py tests/wheel_plan.py "$$folder/tests"; \
	cd /; "$$folder/venv/bin/rackwright" --help >/dev/null; \
	PYTHONPATH="$$folder" "$$folder/venv/bin/python" -m tests.wheel_plan; \
	own='from rackwright.own_wheel import own_version; print(own_version())'; \
	test "$$("$$folder/venv/bin/python" -c "$$own")" = "$$("$(BIN)/python" -c "$$own")"

bench: .venv/ready-molecule programs ## Measure the README's figures, compared with other tools (needs root; two hours)
	@missed=''; for name in startup gateway_overhead first_token growth apply_vs_ansible rollout verdict p2p drill \
	restore_faults restore_speed restore_memory backup_unchanged; do \
	python -m "benchmarks.$$name" || missed="$$missed $$name"; done; \
	[ -z "$$missed" ] || { echo "a target was missed:$$missed"; exit 1; }

down: .venv/ready ## Remove the quick start's lab, but keep downloads
	@python -m rackwright lab down --yes

clean: ## Remove the lab, its image and downloads, .venv, and all caches in this folder
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m rackwright.lab.clean
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .junit
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "rackwright needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@$(SYNC)
	@touch $@

.venv/ready-molecule: .venv/ready
	@$(SYNC) --group molecule
	@touch $@
