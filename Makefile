# Two commands: `make run` starts the monitor, `make test` tests it. Works with GNU make 3.81 and later.
# PYTHON=/path/to/python3.x picks the Python that .venv is made from; the rest of the settings are in the README.

.DEFAULT_GOAL := help
.PHONY: help run test test-full lint bench docs lock clean setup setup-dev

help: ## Say what the targets are
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: setup ## Install what the server needs and start it
	@exec .venv/bin/python manage.py up

test: setup-dev ## Run the tests (long ones in short rounds; under ten minutes)
	@exec .venv/bin/python scripts/test.py

test-full: setup-dev ## Run the tests in full rounds
	@exec .venv/bin/python scripts/test.py --full

lint: setup-dev ## Check style, types, the direction of imports and the migrations
	@exec .venv/bin/python scripts/lint.py

bench: setup-dev ## Measure side by side; prints tables
	@exec .venv/bin/python benchmarks/run.py

docs: setup-dev ## Write the generated pages of docs/ anew
	@exec .venv/bin/python scripts/docs.py

lock: setup-dev ## Compile requirements/*.txt and package-lock.json anew
	@exec .venv/bin/python scripts/lock.py

clean: ## Remove what make has installed and cached (never your data)
	rm -rf .venv dashboard/static/vendor .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build

setup:
	@sh scripts/setup.sh server "$(PYTHON)"

setup-dev:
	@sh scripts/setup.sh dev "$(PYTHON)"
