# `make demo` and `make test` are all that a fresh machine needs: Python 3.11 or newer, make, and a package index.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))) python3)
VENV ?= .venv
BIN := $(VENV)/bin
RUN_EXTRAS := service,worker,data,local
TEST_EXTRAS := $(RUN_EXTRAS),test,dev
PORT ?= 8000
DATA ?= lab-data
BENCH ?=
FUZZ ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-test browser demo up claims test test-faults test-compose fuzz chaos lint format bench bench-service clean

help: ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## Set up .venv with what the lab needs to run
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Activation Lab needs Python 3.11 or newer, and $(PYTHON) is not on the PATH."; exit 1; }
	@$(PYTHON) deploy/install.py $(VENV) $(RUN_EXTRAS)

setup-test: ## Set up .venv with what tests and lint need as well
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Activation Lab needs Python 3.11 or newer, and $(PYTHON) is not on the PATH."; exit 1; }
	@$(PYTHON) deploy/install.py $(VENV) $(TEST_EXTRAS)

demo: setup ## Start a lab, ask it "Why ReLU?", print its answer, stop it
	@$(BIN)/actlab demo

up: setup ## Keep a lab running on this machine (PORT, DATA)
	@$(BIN)/actlab up --port $(PORT) --data $(DATA)

claims: setup ## Run all nine claims on a lab of their own and write docs/claims (QUICK=1: minutes, worth less)
	@$(BIN)/python -m actlab.operate.claims $(if $(QUICK),--quick --pages claims-data/pages)

browser: setup-test
	@$(PYTHON) deploy/browser.py

test: browser ## Every test but the faults and those of compose, against real SQLite, Postgres, Valkey and worker processes
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal --ignore=tests/faults --ignore=tests/compose

test-faults: setup-test ## Labs of real processes that are killed, frozen and cut off: nothing is lost, nothing counted twice
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --numprocesses 4 --dist loadscope tests/faults

test-compose: setup-test ## The compose file on the Docker engine that is here: builds the images, which takes minutes
	@$(BIN)/pytest tests/compose

fuzz: setup-test ## A thousand requests of every kind that the API's document allows, or does not; takes half an hour (FUZZ="--cases 50")
	@$(BIN)/python -m tests.fuzz $(FUZZ)

chaos: setup-test ## The same for hours, and with parts of the design taken out; goes on where it stopped (FOR=600, ANEW=1), writes docs/chaos.md
	@$(if $(ANEW),rm -f chaos.jsonl)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 CHAOS=yes CHAOS_FOR_S=$(or $(FOR),inf) $(BIN)/pytest -p tests.faults.chaos \
		--numprocesses 4 --dist loadscope --no-loadscope-reorder $(or $(TESTS),tests/faults); red=$$?; \
		CHAOS=yes $(BIN)/python -m tests.faults.table docs/chaos.md && cat docs/chaos.md && exit $$red

lint: setup-test ## Style, types, import contracts, Dockerfile and compose file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: setup-test ## Put the code in the one form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: ## Measure the engine against its peers (BENCH="--workload tiny --quick")
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Activation Lab needs Python 3.11 or newer, and $(PYTHON) is not on the PATH."; exit 1; }
	@$(PYTHON) deploy/install.py $(VENV) $(TEST_EXTRAS),bench
	@$(BIN)/python -m benchmarks $(BENCH)

bench-service: setup-test ## Measure the service in full tables, MLflow's server beside it; five or six minutes on two cores (BENCH="--group polling --quick")
	@test -x .venv-mlflow/bin/mlflow || { $(PYTHON) -m venv .venv-mlflow && .venv-mlflow/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --requirement benchmarks/service/mlflow.txt; }
	@$(BIN)/python -m benchmarks.service --mlflow .venv-mlflow/bin/mlflow $(BENCH)

clean: ## Remove what make made, data folders excepted
	@rm -rf $(VENV) .venv-mlflow .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
