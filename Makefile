# `make run` serves the example document, `make test` runs all checks, `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests beside servers mostly wait: four workers keep two cores busy.
WORKERS ?= 4
# `make run` and `make docs` have environments of their own, a tenth of the size.
RUN_VENV := .venv-run
DOCS_VENV := .venv-docs
SITE ?= site
# CI has one that runs what failed a second time.
PYTEST ?= $(BIN)/pytest
# An environment is current if the stamp with the digest of its inputs exists.
INPUTS := requirements/install.py requirements/bootstrap.lock requirements/dev.lock pyproject.toml
STAMP := $(VENV)/.ready-$(shell cat $(INPUTS) | cksum | tr -d ' ')
RUN_INPUTS := requirements/install.py requirements/run.lock pyproject.toml
RUN_STAMP := $(RUN_VENV)/.ready-$(shell cat $(RUN_INPUTS) | cksum | tr -d ' ')
DOCS_INPUTS := requirements/install.py requirements/docs.lock
DOCS_STAMP := $(DOCS_VENV)/.ready-$(shell cat $(DOCS_INPUTS) | cksum | tr -d ' ')
# Without bytecode in the tree, each start of a sidecar or a command takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: run
run: $(RUN_STAMP) ## Serve the example document from a local file, on loopback
	@exec $(RUN_VENV)/bin/dc-sidecar serve --source file:deploy/examples/routing.yaml

.PHONY: install
install: $(STAMP) ## Prepare .venv for development

$(STAMP): $(INPUTS)
	@$(PYTHON) requirements/install.py dev
	@rm -f $(VENV)/.ready-* && touch $@

$(RUN_STAMP): $(RUN_INPUTS)
	@$(PYTHON) requirements/install.py run
	@rm -f $(RUN_VENV)/.ready-* && touch $@

$(DOCS_STAMP): $(DOCS_INPUTS)
	@$(PYTHON) requirements/install.py docs
	@rm -f $(DOCS_VENV)/.ready-* && touch $@

.PHONY: test
test: install ## Run all checks: lint, types, layers, unit tests, real servers, end to end
	@$(MAKE) --no-print-directory --jobs=2 computed-aside integration
	@$(MAKE) --no-print-directory timed

.PHONY: lint
lint: install ## Check lint, format, types, layers, shell scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run .ci/pytest protos/generate tests/servers/install_packages

.PHONY: servers
servers: install
	@tests/servers/install_packages
	@$(BIN)/python -m tests.fetch

.PHONY: integration
integration: servers
	@$(PYTEST) tests --ignore=tests/unit -m "not timed" --numprocesses $(WORKERS) --dist loadfile --durations=10

# A time in seconds says something of the product where the machine has nothing else to do.
.PHONY: timed
timed: servers
	@$(PYTEST) tests --ignore=tests/unit -m timed --numprocesses 3 --dist loadfile -o cache_dir=.pytest_cache/timed

# The tests beside real servers wait a good deal: what only computes gives way to them. Printed at its end.
.PHONY: computed-aside
computed-aside: install
	@(for target in lint units fuzz-short; do nice $(MAKE) --no-print-directory $$target || exit; done) \
	  >$(VENV)/computed.log 2>&1 || failed=$$?; cat $(VENV)/computed.log; exit $${failed:-0}

# Coverage in one process: in several, pytest-cov cannot pause for the tests marked `no_cover`.
.PHONY: units
units: install
	@$(PYTEST) tests/unit/routing --quiet \
	  -o cache_dir=.pytest_cache/routing --cov=sidecar.routing --cov-branch --cov-report=term-missing --cov-fail-under=100
	@$(PYTEST) tests/unit --ignore=tests/unit/routing --numprocesses 2 --dist loadfile --quiet -o cache_dir=.pytest_cache/unit

.PHONY: unit
unit: install ## Run the fast tests
	@$(BIN)/pytest tests/unit

.PHONY: chaos
chaos: install ## Inject random faults for some minutes and check every answer (CHAOS="--seed 7 --source nacos")
	@$(BIN)/python -m tests.chaos.campaign $(CHAOS)

.PHONY: attack
attack: install ## Attack the sidecar by callers, documents and disks within 64 MiB (5 minutes, needs Go; ATTACK="--only 'http-*'")
	@$(BIN)/python -m tests.attack $(ATTACK)

.PHONY: fuzz
fuzz: install ## Fuzz the parsers, guided by coverage (10 minutes; FUZZ="--only document --grow")
	@$(BIN)/python -m tests.fuzz --seconds 600 $(FUZZ)

.PHONY: fuzz-short
fuzz-short: install
	@$(BIN)/python -m tests.fuzz --seconds 60 $(FUZZ)

.PHONY: demo-powerjob
demo-powerjob: install ## Demonstrate drill, gray release and failover with a real PowerJob (needs Java and Maven)
	@$(BIN)/python -m tests.powerjob.demo

.PHONY: demo-celery
demo-celery: install ## Demonstrate drill, gray release and failover with real Celery workers (needs Debian's redis-server)
	@$(BIN)/python -m tests.celery.demo

.PHONY: format
format: install ## Fix lint and format with ruff
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: proto
proto: install ## Generate sidecar/pb from protos/ with the oldest supported compiler
	@protos/generate sidecar/pb

.PHONY: lock
lock: install ## Resolve the dependencies and write the lock files
	@cd requirements && ../$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header bootstrap.in -o bootstrap.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements/dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group run --constraints requirements/dev.lock pyproject.toml -o requirements/run.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group docs -o requirements/docs.lock

.PHONY: docs
docs: $(DOCS_STAMP) ## Build the documentation site, with every link checked; see it with python3 -m http.server -d site
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet --site-dir "$(SITE)"

.PHONY: docs-env
docs-env: $(DOCS_STAMP)

.PHONY: bench
bench: install ## Benchmark speed, memory and start; write bench/RESULTS.md (needs Go, about 25 minutes)
	@for script in run apps opa change footprint; do $(BIN)/python -m bench.$$script; done

.PHONY: dist
dist: install ## Build and check wheel, sdist, jars, charts and bills of materials of the last commit in dist/ (needs Java and Maven)
	@$(BIN)/python -m deploy.release.dist

.PHONY: image
image: ## Build the container image (needs Docker)
	docker build -f deploy/docker/Dockerfile -t dc-sidecar \
	  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg CREATED=$$(git show -s --format=%cI) .

.PHONY: clean
clean: ## Remove all generated files
	@rm -rf $(VENV) $(RUN_VENV) $(DOCS_VENV) dist site build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .run
