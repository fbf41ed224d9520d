# The few commands of this project. All of them make the Python environment they need on their first run.
.DEFAULT_GOAL := help
.PHONY: help setup demo check test bench docs clean
SHELL := /bin/bash

# A named stage or several: make test STAGES="sanity playbooks"
STAGES ?=
FAULT ?=

help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make the Python environment
	@tools/venv.sh dev

demo: ## Run the runbook against the sandbox pipeline; make demo FAULT=NAME breaks it first, and mends it
	@venv=$$(tools/venv.sh run) && exec "$$venv/bin/python" sandbox/demo.py 'SERVICE=$(SERVICE)' 'FAULT=$(FAULT)'

check: ## Fast checks: lint, types, unit tests (under two minutes)
	@venv=$$(tools/venv.sh dev) && exec "$$venv/bin/python" tools/stages.py check $(STAGES)

test: ## Everything, as CI runs it; make test STAGES="ansible-lint sanity" runs some
	@venv=$$(tools/venv.sh dev) && exec "$$venv/bin/python" tools/stages.py test $(STAGES)

bench: ## Measure against the alternatives
	@venv=$$(tools/venv.sh dev) && exec "$$venv/bin/python" tools/bench.py

docs: ## Write the runbook map and the picture of the house anew, and docs/fault_matrix.md, hostile.md and frame.md from the last tests
	@venv=$$(tools/venv.sh dev) && "$$venv/bin/python" tools/runbook_map.py && "$$venv/bin/python" tools/house.py
	@venv=$$(tools/venv.sh dev) && [ ! -e build/faults/incident_faults.json ] || "$$venv/bin/python" tools/fault_matrix.py build/faults
	@venv=$$(tools/venv.sh dev) && [ ! -e build/hostile/result.json ] || "$$venv/bin/python" tools/hostile_table.py build/hostile/result.json
	@venv=$$(tools/venv.sh dev) && [ ! -e build/frame/result.json ] || "$$venv/bin/python" tools/frame_table.py build/frame/result.json

clean: ## Remove what the tools left in the work tree
	rm -rf build .ansible .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/output media_ops-runbook-*.tar.gz
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
