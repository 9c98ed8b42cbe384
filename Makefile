# TinyBMS-GW. `make help` explains each target.
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin
export MICROPYTHON ?= $(CURDIR)/$(VENV)/micropython

.PHONY: help run test bench plots lint format deps deps-board deps-dev build lock clean
.DEFAULT_GOAL := help

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  Options of the gateway: make run ARGS=\"--help\""

run: deps build ## The whole gateway against a simulated battery (ARGS="--help" lists the options)
	@exec $(VENV)/python -m tools.run $(ARGS)

test: deps-dev build ## All tests (ARGS="-k name" picks some)
	@$(VENV)/python -m pytest $(ARGS)

bench: deps-dev build ## Measure: viper against bytecode, heap per cycle, latency
	@$(VENV)/python -m tools.bench $(ARGS)

plots: deps-dev ## Draw the charge cycle into build/plots/
	@$(VENV)/python -m tools.plots $(ARGS)

lint: deps-dev ## ruff, and the import rule of the house
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/python -m tools.check_imports

format: deps-dev ## Let ruff format the sources
	@$(VENV)/ruff format .

deps: ## Fetch what `make run` needs (.venv/, lib/)
	@$(PYTHON) tools/deps.py run

deps-board: ## Fetch what `make image`, `flash` and `deploy` need besides
	@$(PYTHON) tools/deps.py board

deps-dev: ## Fetch what `make test` needs besides
	@$(PYTHON) tools/deps.py dev

build: deps ## Compile the application into build/host/
	@$(VENV)/python -m tools.build host

lock: deps-dev ## Resolve tools/requirements-*.in again into files with hashes
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check uv
	@cd tools && for name in run board dev; do ../$(VENV)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --no-annotate --no-header -o requirements-$$name.txt requirements-$$name.in; done

clean: ## Remove what was built and fetched (.data/ stays)
	rm -rf build .venv lib/microdot lib/umqtt .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
