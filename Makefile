# Q-MUMMA on one machine. `make help` lists the targets; everything lands in .venv, .tools and .local and nowhere else.

SHELL := /bin/bash
UV_VERSION := 0.13.9
TOOLS := .tools
UV := $(TOOLS)/bin/uv
BIN := .venv/bin
STATE ?= .local
PORT ?= 8080
BASE_PORT ?= 7100
PARTS_OF_BENCHES := $(addprefix bench/,__init__.py processes.py naive.py) $(filter-out bench/routing_load.py,$(wildcard bench/routing_*.py))
BENCHES := $(basename $(notdir $(filter-out $(PARTS_OF_BENCHES),$(wildcard bench/*.py))))
export UV_PYTHON_DOWNLOADS := never
export PYTHONUNBUFFERED := 1
export HYPOTHESIS_STORAGE_DIRECTORY := $(STATE)/hypothesis

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test conformance fuzz soak lint generate bench clean

help: ## show this list
	@printf 'Q-MUMMA: a quantum cloud on your own machine\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nSettings, as they are now:\n\n'
	@printf '  %-15s %s\n' 'STATE=$(STATE)' 'folder of data, keys and logs' 'PORT=$(PORT)' 'port of the REST API' \
	    'BASE_PORT=$(BASE_PORT)' 'first port of everything else'

# Asked for by name it looks whether anything is missing; for what needs it, once is enough.
setup: $(UV) ## install everything that the project needs, or what is missing of it (needs a package index)
	@rm -f .venv/.ready
	@$(MAKE) --no-print-directory .venv/.ready

$(UV):
	@echo '· installing uv $(UV_VERSION)'
	@python3 -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'

.venv/.ready: pyproject.toml sdks/python/pyproject.toml uv.lock $(UV)
	@echo '· installing the packages of uv.lock'
	@$(UV) sync --frozen --compile-bytecode --quiet
	@touch $@

demo: .venv/.ready ## start the mesh, run a molecule through it, check the proof offline, stop
	@$(BIN)/python -m deploy.local demo --state $(STATE) --port $(PORT) --base-port $(BASE_PORT)

up: .venv/.ready ## start the mesh on this machine and stay up until Ctrl-C or `make down`
	@$(BIN)/python -m deploy.local up --state $(STATE) --port $(PORT) --base-port $(BASE_PORT)

down: .venv/.ready ## stop the mesh that `make up` started elsewhere
	@$(BIN)/python -m deploy.local down --state $(STATE)

status: .venv/.ready ## say whether a mesh runs with STATE
	@$(BIN)/python -m deploy.local status --state $(STATE) || test $$? -eq 3

test: .venv/.ready ## run every test, over real PostgreSQL, NATS and gRPC with mTLS
	@$(BIN)/pytest tests -n auto --dist loadfile

conformance: .venv/.ready ## try the OpenAPI document against a running mesh with schemathesis (minutes)
	@$(BIN)/python -m tests.conformance

fuzz: .venv/.ready ## send 20,000 malformed requests to a running mesh (minutes)
	@$(BIN)/python -m tests.fuzz

soak: .venv/.ready ## run the long stories: 200 jobs for each process that is killed
	@$(BIN)/pytest tests -m soak

lint: .venv/.ready ## check style, types, imports between packages, and the protos
	@$(BIN)/ruff format --check --quiet . && echo '· format: ok'
	@$(BIN)/ruff check --quiet . && echo '· style: ok'
	@$(BIN)/mypy && echo '· types: ok'
	@$(BIN)/lint-imports --no-cache && echo '· imports: ok'
	@$(BIN)/buf lint && $(BIN)/buf breaking --against protos/baseline.binpb && echo '· protos: ok'

generate: .venv/.ready ## write the Python of the protos anew
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python protos/generate.py

bench: .venv/.ready ## measure, side by side with rivals and limits (takes minutes)
	@for name in $(BENCHES); do echo "== bench.$$name"; $(BIN)/python -m bench.$$name || exit 1; done

clean: ## stop nothing, remove what is made: state, environment, caches
	@rm -rf $(STATE) .venv $(TOOLS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
