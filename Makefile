# Every target installs what it needs; all local state lives under .sluice/ and the environment under .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_CACHE_DIR ?= $(CURDIR)/.sluice/cache/uv
export UV_PYTHON_DOWNLOADS := never
# Some shells forbid it; each of the many processes here would then compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

# The image's locks are parts of the one lock: same versions, same hashes.
IMAGE_LOCK := --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--constraint requirements.lock
BUILD_BACKEND := setuptools==80.9.0

.DEFAULT_GOAL := help
.PHONY: help install lock demo up env down test check bench bench-retrieval chaos new-provider clean

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml requirements.lock
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"; }
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## create .venv from the lock, and fetch the embedding model if it is missing
	@$(BIN)/python -m libs.local.models

lock: $(VENV)/.installed ## resolve pyproject.toml into requirements.lock anew, and the image's parts of it
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --all-extras --group dev \
		pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile $(IMAGE_LOCK) --extra chunker --extra opensearch pyproject.toml --output-file deploy/image/requirements.lock
	@echo "$(BUILD_BACKEND)" | $(BIN)/uv pip compile $(IMAGE_LOCK) - --output-file deploy/image/build.lock

demo: install ## start everything, connect, sync and search; DEMO_EXIT=1 ends it, GITHUB_TOKEN= REPO= or SITE= for your own
	@$(BIN)/python -m libs.cli demo

up: install ## start the embedded stack and the four services (SANDBOX=1 adds the stand-ins)
	@$(BIN)/python -m libs.cli up

env: install ## make .env from .env.example with fresh secrets, for docker compose; shows the first API key
	@$(BIN)/python -m libs.local.deploy env

down: install ## stop what `make up` started
	@$(BIN)/python -m libs.cli down

test: install ## unit, property, contract, integration, end-to-end and chaos suites on the embedded stack
	@$(BIN)/python -m tests.support.suites unit properties contract integration e2e chaos

check: install ## ruff, mypy strict, house tests, generated documents fresh
	@$(BIN)/ruff format --check --quiet libs services tests
	@$(BIN)/ruff check --quiet libs services tests
	@$(BIN)/mypy
	@$(BIN)/python -m libs.common.events.documents --check
	@$(BIN)/python -m libs.local.routes --check
	@$(BIN)/python -m libs.local.deploy check
	@$(BIN)/python -m pytest tests/house

bench: install ## print every figure beside its anchor
	@$(BIN)/python -m tests.bench

bench-retrieval: install ## how well searches answer; RETRIEVAL_DATA= for the larger sets
	@$(BIN)/python -m tests.bench.retrieval

chaos: install ## every long size, part after part (CI sizes run in `make test`); ONLY="feed histories" for some
	@$(BIN)/python -m tests.support.chaos $(ONLY)

new-provider: install ## copy the provider template: make new-provider NAME=linear
	@$(BIN)/python -m libs.cli new-provider "$(NAME)"

clean: ## remove the environment and all local state
	@if [ -x $(BIN)/python ] && [ -d .sluice/run ]; then $(BIN)/python -m libs.cli down; fi
	@rm -rf $(VENV) .sluice
