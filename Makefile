# Two commands do everything: `make demo` and `make test`. See CONTRIBUTING.md for the slow targets.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ferstream-set-up
DEBIAN := mosquitto mosquitto-clients prometheus shellcheck systemd

.PHONY: demo test lint types contracts unit setup debian clean help
.DEFAULT_GOAL := help

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml uv.lock scripts/setup.sh
	@bash scripts/setup.sh $(VENV)
	@touch $@

setup: $(STAMP) ## Make the virtual environment from the lock file.

debian: ## Install the Debian packages that some tests use (root or sudo), or name them.
	@bash scripts/debian.sh $(DEBIAN)

demo: $(STAMP) ## Run the whole pipeline on a built-in clip, with a broker of its own.
	@$(BIN)/ferstream demo $(ARGS)

test: $(STAMP) debian lint types contracts unit ## Everything that must hold: style, types, contracts, tests.

lint: $(STAMP) ## Style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Types.
	$(BIN)/mypy

contracts: $(STAMP) ## Who may import whom.
	$(BIN)/lint-imports

unit: $(STAMP) ## All quick tests.
	$(BIN)/pytest -m "not slow" $(ARGS)

clean: ## Remove what was built.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist build
