# The commands of the README. `make demo` and `make test` do all the set-up that they need; a second run reuses it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(shell sed 's/\#.*//' appliance/lab/debian-packages.txt)

.PHONY: help setup demo demo-down root test nightly check bench bench-api fuzz-api fuzz-faces lock migration clean

help:
	@sed -n 's/^## //p' Makefile

## make demo        two blank machines boot, are enrolled, inspected, deployed; ends with an ssh line (DEMO_ARGS="--once --json FILE")
demo: | root setup
	@$(BIN)/python -m appliance.lab.demo up $(DEMO_ARGS)

# Said before the set-up, so that nobody waits for it in vain.
root:
	@[ "$$(id -u)" = 0 ] || { echo "make demo needs root: its machines are on a network of their own (namespace, bridge, taps)" >&2; \
	  echo "next: sudo make demo   (without root: make check, and the unit tests)" >&2; exit 77; }

## make demo-down   stops what `make demo` left running
demo-down:
	@[ -x $(BIN)/python ] || { echo "nothing was set up here; next: make demo" >&2; exit 1; }
	@$(BIN)/python -m appliance.lab.demo down $(DEMO_ARGS)

## make test        the whole suite, with one real end-to-end story in QEMU
test: setup
	@$(BIN)/python -m pytest -m "not nightly" $(TEST_ARGS)

## make nightly     what takes too long for every run: power cuts of real machines at each stage
nightly: setup
	@$(BIN)/python -m pytest -m nightly $(TEST_ARGS)

## make check       format, lint, types, import contracts
check: $(VENV)/installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

## make bench       measurements as JSON below .build/bench
bench: setup
	@$(BIN)/python -m tests.bench.run $(BENCH_ARGS)

## make bench-api   Ironic and this appliance under the same load, in turn; the comparison as .build/bench-api/result.json
bench-api: setup
	@mkdir -p .build/bench-api
	@$(BIN)/python -m tests.bench.bench_api_ironic $(BENCH_ARGS) > .build/bench-api/result.json.new; code=$$?; \
	  mv .build/bench-api/result.json.new .build/bench-api/result.json; exit $$code

## make fuzz-api    ten minutes of requests at random, from the API's own document; each answer is compared with it (FUZZ_S=600)
fuzz-api: setup
	@$(BIN)/python -m tests.interop.fuzz_api --seconds $${FUZZ_S:-600} $(FUZZ_ARGS)

## make fuzz-faces  ten minutes of odd requests to the OpenStack faces; no answer may be our fault (FUZZ_S=600)
fuzz-faces: setup
	@$(BIN)/python -m tests.interop.fuzz_faces --seconds $${FUZZ_S:-600} $(FUZZ_ARGS)

## make setup       Debian packages, a virtual environment from the hashed lock
setup: .build/packages $(VENV)/installed

.build/packages: appliance/lab/debian-packages.txt
	@mkdir -p .build
	@missing="$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}\n' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done)"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then \
	    echo "make setup needs root to install Debian packages:" $$missing >&2; \
	    echo "next: sudo apt-get install --no-install-recommends" $$missing >&2; \
	    echo "the lab also needs root for network namespaces and taps; unit tests do not: make check" >&2; exit 77; fi; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; fi
	@touch $@

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -q -y --no-install-recommends python3-venv; } || \
	  { echo "Python's venv module is missing; next: sudo apt-get install python3-venv" >&2; exit 77; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

## make lock        writes requirements.lock anew, with hashes
lock:
	@$(BIN)/pip-compile -q --upgrade --extra dev --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --no-header --strip-extras --allow-unsafe -o requirements.lock pyproject.toml

clean:
	rm -rf .venv .build dist
