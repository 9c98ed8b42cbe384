# TinyBMS-GW. `make help` explains each target.
PYTHON ?= python3
ARGS ?=
VENV := .venv/bin
export MICROPYTHON ?= $(CURDIR)/$(VENV)/micropython

CHIP ?= esp32
LAYOUT ?= 4mb
FLASH_MB ?= 4

.PHONY: help run test chaos bench soak plots lint format deps deps-board deps-dev build image bundle flash deploy test-device lock clean
.DEFAULT_GOAL := help

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'
	@echo "  Options of the gateway: make run ARGS=\"--help\""

run: deps build ## The whole gateway against a simulated battery (ARGS="--help" lists the options)
	@exec $(VENV)/python -m tools.run $(ARGS)

test: deps-dev build ## All tests (ARGS="-k name" picks some)
	@$(VENV)/python -m pytest $(ARGS)

chaos: deps-dev build ## Everything that can go wrong, one by one and in pairs, and 200 kills (ARGS="--only ROW --pairs N --kills N", ARGS=--fuzz)
	@$(VENV)/python -m tools.chaos $(ARGS)

bench: deps-dev build ## Measure: viper against bytecode, heap per cycle, latency
	@$(VENV)/python -m tools.bench $(ARGS)

soak: deps-dev build ## A simulated month of everything with random faults (ARGS="--days 1 --seed 7")
	@$(VENV)/python -m tools.soak $(ARGS)

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

image: deps-board ## The application as a file system image (CHIP=esp32|esp32s3|esp32c3|host LAYOUT=4mb|ota FLASH_MB=4)
	@$(VENV)/python -m tools.package image $(CHIP) --layout $(LAYOUT) --flash-mb $(FLASH_MB)

bundle: deps-board ## The file for an update over the air (CHIP=esp32|esp32s3|esp32c3|host)
	@$(VENV)/python -m tools.package bundle $(CHIP)

flash: deps-board ## A new board: erase it, MicroPython and the application (PORT=/dev/ttyUSB0 FIRMWARE=image.bin, ARGS=--dry-run)
	@test -n "$(PORT)" -a -n "$(FIRMWARE)" || { echo "make flash PORT=/dev/ttyUSB0 FIRMWARE=ESP32_GENERIC-....bin (from https://micropython.org/download/)"; exit 2; }
	@$(VENV)/python -m tools.flash "$(PORT)" "$(FIRMWARE)" $(if $(filter command line,$(origin CHIP)),--chip $(CHIP)) $(ARGS)

deploy: deps-board ## Copy what has changed to a board that runs already (PORT=/dev/ttyUSB0); settings stay
	@test -n "$(PORT)" || { echo "make deploy PORT=/dev/ttyUSB0"; exit 2; }
	@$(VENV)/python -m tools.deploy "$(PORT)" $(ARGS)

test-device: deps-board ## Run the unit tests on a board and print a report (PORT=/dev/ttyUSB0)
	@test -n "$(PORT)" || { echo "make test-device PORT=/dev/ttyUSB0"; exit 2; }
	@$(VENV)/python -m tools.device "$(PORT)" $(ARGS)

lock: deps-dev ## Resolve tools/requirements-*.in again into files with hashes
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check uv
	@cd tools && for name in run board dev; do ../$(VENV)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --no-annotate --no-header -o requirements-$$name.txt requirements-$$name.in; done

clean: ## Remove what was built and fetched (.data/ stays)
	rm -rf build .venv lib/microdot lib/umqtt .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
