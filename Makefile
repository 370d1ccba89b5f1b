# What a newcomer types: `make run` serves the example document, `make test` proves everything. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests of faults mostly wait, so three of them keep two cores busy.
WORKERS ?= 3
# The environment is current when the stamp named after the digest of what it is made from is there.
INPUTS := requirements/bootstrap.lock requirements/dev.lock pyproject.toml
STAMP := $(VENV)/.ready-$(shell cat $(INPUTS) | cksum | tr -d ' ')

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: install ## Serve the example document from a local file, on loopback
	@exec $(BIN)/dc-sidecar serve --source file:deploy/examples/routing.yaml

.PHONY: install
install: $(STAMP) ## Prepare .venv with all that developing needs

$(STAMP): $(INPUTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"dc-sidecar needs Python 3.11 or newer, this is {sys.version.split()[0]}: try make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once; about a minute) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-* && touch $@

.PHONY: test
test: install ## Check everything: lint, types, layers, rules, real servers, end to end
	@$(MAKE) --no-print-directory lint
	@tests/servers/install_packages
	@$(BIN)/python -m tests.fetch
	@$(BIN)/pytest tests/unit/routing --deselect tests/unit/routing/test_properties.py --numprocesses 2 --quiet \
	  --cov=sidecar.routing --cov-branch --cov-report=term-missing --cov-fail-under=100
	@$(BIN)/pytest tests/unit --numprocesses 2 --dist loadgroup --quiet || \
	  $(MAKE) --no-print-directory alone WHAT=tests/unit
	@$(BIN)/pytest tests --ignore=tests/unit --numprocesses $(WORKERS) --dist loadgroup --durations=10 || \
	  $(MAKE) --no-print-directory alone WHAT="tests --ignore=tests/unit"

# What failed beside others runs once more by itself, where nothing else wants the processor; failing twice is failing.
# Each test named there is a defect to be found: a machine that is too slow for it is no excuse.
.PHONY: alone
alone:
	@echo "FAILED BESIDE OTHERS, once more alone:"
	@$(BIN)/pytest --last-failed --last-failed-no-failures none $(WHAT)

.PHONY: lint
lint: install ## Lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run protos/generate tests/servers/install_packages

.PHONY: unit
unit: install ## The fast tests only
	@$(BIN)/pytest tests/unit

.PHONY: chaos
chaos: install ## Break all there is to break for some minutes, each answer checked (CHAOS="--seed 7 --source nacos")
	@$(BIN)/python -m tests.chaos.campaign $(CHAOS)

.PHONY: demo-powerjob
demo-powerjob: install ## Play drill, gray release and the loss of a datacenter with a real PowerJob (needs Java and Maven)
	@$(BIN)/python -m tests.powerjob.demo

.PHONY: format
format: install ## Let ruff mend what it can
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: proto
proto: install ## Generate sidecar/pb from protos/ (with the oldest supported compiler)
	@protos/generate sidecar/pb

.PHONY: lock
lock: install ## Resolve the dependencies anew and write the lock files
	@cd requirements && ../$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header bootstrap.in -o bootstrap.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements/dev.lock

.PHONY: bench
bench: install ## Measure speed, memory and start; write bench/RESULTS.md (needs Go, about 25 minutes)
	@for script in run apps opa change footprint; do $(BIN)/python -m bench.$$script; done

.PHONY: dist
dist: install ## Build wheel, sdist and bill of materials of the last commit into dist/, and check them
	@$(BIN)/python deploy/release/dist.py

.PHONY: image
image: ## Build the container image (needs Docker)
	docker build -f deploy/docker/Dockerfile -t dc-sidecar \
	  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg CREATED=$$(git show -s --format=%cI) .

.PHONY: clean
clean: ## Remove what the other targets made
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .run
