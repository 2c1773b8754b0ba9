.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYAV_LOGGING ?= off

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "want: a working '$(PYTHON) -m venv' (Python 3.11 or newer; on Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

demo: $(VENV)/.run  ## adapt to a self-made scene over real RTSP and alert on what does not belong
	$(BIN)/vedette demo

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev  ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## rewrite the code in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dashboard:  ## bundle the page of the dashboard again (requires Node; the result is committed)
	npm ci --prefix pipeline/gateway/dashboard --ignore-scripts
	npm run build --prefix pipeline/gateway/dashboard

package: $(VENV)/.dev  ## build wheel and source distribution into dist/
	$(BIN)/python -m hatchling build

installed-demo: package  ## install the wheel into a new environment, and run the demo there
	deploy/installed-demo.sh dist/*.whl

bench: $(VENV)/.run  ## measure stage latencies on this machine
	$(BIN)/python -m benchmarks.bench_scoring
	$(BIN)/python -m benchmarks.bench_stages

.PHONY: help demo test check format dashboard package installed-demo bench
