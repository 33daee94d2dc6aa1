# Everything rnnmft does from a fresh clone. Needs Python 3.11 or newer and make, nothing else:
# the environment lives in .venv and is rebuilt when pyproject.toml or constraints.txt change.

PYTHONS := $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST := .venv-oldest
DERIVATIONS := $(wildcard derivations/*.py)
# What is timed; the other two files compare the results.
BENCHMARKS := $(filter-out benchmarks.compare benchmarks.comparisons, \
  $(subst /,.,$(basename $(wildcard benchmarks/*.py))))

export PYTHONDONTWRITEBYTECODE = 1
# pyright would ask the network whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help report test lint types derivations docs pytest test-slow oldest validate bench pictures dist clean

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

report: $(STAMP) ## the theory of the minimalRNN against simulation, one HTML page
	@mkdir -p report
	@$(BIN)/rnnmft report minimal --output report/minimal.html
	@echo "$(CURDIR)/report/minimal.html"

# -k: one run names every check that fails. Two at a time: pytest, which begins once lint and types
# are done, takes longest, so that its verdict closes the output. The derivations are among its tests.
test: $(STAMP) ## every check of the fast set, about 10 minutes on 2 cores
	@$(MAKE) --no-print-directory -k -j 2 docs lint types pytest

lint: $(STAMP) ## ruff, rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . \
	  || { echo "ruff format: run '$(BIN)/ruff format .' on the files above"; exit 1; }

types: $(STAMP) ## pyright
	@$(BIN)/pyright > $(VENV)/pyright.log || { cat $(VENV)/pyright.log; exit 1; }

derivations: $(STAMP) ## the papers' equations, typed by hand, against the engine's
	@for script in $(DERIVATIONS); do \
	  $(BIN)/python -W error $$script > $(VENV)/derivation.log 2>&1 \
	    || { echo "$$script failed:"; cat $(VENV)/derivation.log; exit 1; }; \
	done

docs: $(STAMP) ## the documentation, every page executed, warnings are errors
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning docs docs/_build/html

# Two processes share two cores, tests as well as pages and what is beside them: one thread each is
# faster than two that fight.
pytest test-slow oldest docs derivations: export OMP_NUM_THREADS = 1

pytest: $(STAMP)
	@$(BIN)/pytest --quiet --numprocesses 2

test-slow: $(STAMP) ## the tests that need longer
	@$(BIN)/pytest --quiet --numprocesses 2 -m slow

oldest: $(STAMP) ## the fast tests with the oldest dependencies that are allowed
	@$(BIN)/python -m tests.oldest > $(VENV)/oldest.txt
	@$(BIN)/python -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --constraint $(VENV)/oldest.txt --editable '.[test,experiments,docs,cluster]' \
	  > $(VENV)/oldest.log 2>&1 || { cat $(VENV)/oldest.log; exit 1; }
	@$(OLDEST)/bin/pytest --quiet --numprocesses 2

validate: $(STAMP) ## every claim under validation/ against simulated networks
	@$(BIN)/rnnmft validate

bench: $(STAMP) ## what is timed, against what
	@for module in $(BENCHMARKS); do $(BIN)/python -m $$module || exit 1; done
	@$(BIN)/python -m benchmarks.compare

pictures: $(STAMP) ## the README's pictures of the report and the explorer; needs Chromium
	@$(BIN)/python -m docs.pictures

dist: $(STAMP) ## dist/: source distribution, and the wheel that is built from it
	@$(BIN)/python -m build --outdir dist . > $(VENV)/dist.log 2>&1 || { cat $(VENV)/dist.log; exit 1; }
	@ls dist/*

clean: ## remove everything that make made
	@rm -rf $(VENV) $(OLDEST) report dist build docs/_build docs/derivations docs/notebooks
	@rm -rf .pytest_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in $(PYTHONS); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "rnnmft needs Python 3.11 or newer, and found none under: $(PYTHONS)." >&2; \
	  echo "Install it, or say where it is: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$python (once; a few minutes) ..."; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]' \
	  > $(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log; exit 1; }
	@touch $@
