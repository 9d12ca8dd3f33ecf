# Every command sets up what it needs; there is no step before it.
#   make run     serve on the embedded database, data in ./geumgo-data
#   make test    all tests, against a PostgreSQL of its own
#   make check   what CI runs: lint, types, import rules, tests
#   make promises  the long form of the promises (hours), with what each reached
#   make bench   figures: start-up, memory, requests per second
#   make run COMPILED=1  (or bench) the same program with its hot path compiled
SHELL := /bin/bash
.DEFAULT_GOAL := help
# The first interpreter that runs and is new enough (a name on PATH need not be either).
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; exit; }; done; echo python3)
# COMPILED=1: the same program, its hot path compiled; for make run and make bench. See docs/operate/running.md.
COMPILED ?=
VENV := .venv$(if $(COMPILED),-compiled)
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help run test promises check lint bench coverage clean
help:
	@sed -n 's/^#   //p' Makefile

.venv/.run: requirements.lock pyproject.toml scripts/venv
	@scripts/venv "$(PYTHON)" .venv requirements.lock
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml scripts/venv
	@scripts/venv "$(PYTHON)" .venv requirements-dev.lock
	@touch $@ .venv/.run

# What compiles is one of the tools for development, and what was compiled stands still when its source changes.
.venv-compiled/.run: requirements-dev.lock pyproject.toml scripts/venv scripts/wheel scripts/compiled.py $(shell find src -type f -not -name '*.pyc')
	@scripts/venv "$(PYTHON)" .venv-compiled requirements-dev.lock compiled
	@touch $@ .venv-compiled/.dev

.venv-compiled/.dev: .venv-compiled/.run

run: $(VENV)/.run
	@exec $(BIN)/geumgo serve $(ARGS)

test: .venv/.dev
	@scripts/need postgresql mariadb-server redis-server strace bubblewrap nodejs gcc libc6-dev
	@command -v npm >/dev/null || scripts/need npm  # elsewhere than in Debian it comes with nodejs
	@scripts/test $(ARGS)

promises: .venv/.dev
	@scripts/need postgresql mariadb-server strace bubblewrap nodejs
	@KILLS=500 STRIKES=140 STOPS=200 CRASH_STATES=100000 DISK_FAULTS=300 ANSWERS=200000 ORACLE_WORLDS=1000000 REVOCATIONS=1000 READ_AFTER_WRITE_PAIRS=100000 \
		RENEWALS=50 BAD_REQUESTS=200000 RAW_REQUESTS=20000 SIGNATURE_MUTATIONS=50000 \
		TRAIL_RECORDS=1000000 TRAIL_MUTATIONS=10000 TRAIL_MUTATIONS_IN_FULL=100 TRAIL_CRASHES=500 TRAIL_SERVER_CRASHES=10 \
		.venv/bin/python -m pytest -s tests/promises $(ARGS)

lint: .venv/.dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

check: lint test

bench: $(VENV)/.dev
	@scripts/need postgresql wrk
	@$(BIN)/python -m tests.bench $(ARGS)

coverage: .venv/.dev
	@.venv/bin/python -m geumgo.coverage > docs/coverage.md

clean:
	rm -rf .venv .venv-compiled .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
