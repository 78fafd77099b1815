# `make run` starts LLM Monitor, `make test` runs the tests. Works with GNU make 3.81 and later.
# PYTHON=/path/to/python3.x selects the Python for .venv. For other settings, see docs/configuration.md.

.DEFAULT_GOAL := help
.PHONY: help run test test-full lint test-integrations bench docs lock clean setup setup-dev

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: setup ## Install the server's dependencies and start it
	@exec .venv/bin/python manage.py up

test: setup-dev ## Run all tests, the long ones in short rounds; about 30 minutes on two cores
	@exec .venv/bin/python scripts/test.py

test-full: setup-dev ## Run all tests in full
	@exec .venv/bin/python scripts/test.py --full

test-integrations: setup-dev ## Test the integrations with the client libraries, which are installed for it
	@exec .venv/bin/python scripts/test_integrations.py $(GROUPS)

lint: setup-dev ## Check style, types (also of scripts), import direction and migrations
	@exec .venv/bin/python scripts/lint.py

bench: setup-dev ## Run the benchmarks and print tables
	@exec .venv/bin/python benchmarks/run.py

docs: setup-dev ## Generate docs/metrics.md and docs/configuration.md
	@exec .venv/bin/python scripts/docs.py

lock: setup-dev ## Compile requirements/*.txt and package-lock.json
	@exec .venv/bin/python scripts/lock.py

clean: ## Remove .venv, installed libraries and caches, but not your data
	rm -rf .venv .venv-node node_modules dashboard/static/vendor .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build

setup:
	@sh scripts/setup.sh server "$(PYTHON)"

setup-dev:
	@sh scripts/setup.sh dev "$(PYTHON)"
