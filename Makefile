# Two commands do all the set-up: `make demo` and `make test`. The work is done by
# scripts/; each step there does nothing when it is done already.

SHELL := bash
.DEFAULT_GOAL := help

# The interpreter that .venv is made from (default: found by scripts/find-python.sh).
export PYTHON

# Passed to pytest: make test ARGS='-k readdir -x'
ARGS ?=

# make bench-history RANGE=HEAD~5..HEAD; make bench-compare BASE=main~3 HEAD=main
RANGE ?=
BASE ?= HEAD^
HEAD ?= HEAD
export BASE HEAD BENCH PAIRS THRESHOLD

# Where `make dashboard-serve` listens, on 127.0.0.1.
PORT ?= 8082

.PHONY: help
help: ## Show this help
	@echo 'fusesg: write a file system in Python; Rust moves the bytes'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make test ARGS='-k readdir -x'     passes arguments to pytest"
	@echo '  make PYTHON=/path/to/python3 …     chooses the interpreter for .venv'

.PHONY: demo
demo: build ## Serve a real tree through the kernel, compare it, measure it
	@scripts/system-packages.sh mount
	@.venv/bin/fusesg demo

.PHONY: test
test: build ## Run the Rust and the Python tests, on real mounts
	@scripts/system-packages.sh test dashboard
	@scripts/environment.sh dev
	@scripts/environment.sh bench || true
	@scripts/test.sh $(ARGS)

.PHONY: loom
loom: ## Try every order of threads in the models of the core
	@scripts/loom.sh

.PHONY: lint
lint: build ## Check format, lints, types, stubs, the site and the shape of the tree
	@scripts/environment.sh dev
	@scripts/environment.sh docs
	@scripts/lint.sh

.PHONY: docs
docs: build ## Build the documentation into target/site
	@scripts/environment.sh docs
	@scripts/docs.sh

.PHONY: format
format: ## Format the Rust and the Python code
	@scripts/environment.sh dev
	@cargo fmt --all
	@.venv/bin/ruff check --quiet --fix-only
	@.venv/bin/ruff format

.PHONY: build
build: ## Build the release wheel into dist/ and install it into .venv
	@scripts/system-packages.sh build
	@scripts/environment.sh build
	@scripts/build.sh

.PHONY: wheel
wheel: ## Build the wheel and the sdist to publish into dist/, and check them
	@scripts/system-packages.sh build
	@scripts/environment.sh wheel
	@scripts/wheel.sh

.PHONY: test-wheel
test-wheel: build ## Use the wheel in dist/ with each Python, and nothing else installed
	@scripts/test-wheel.sh

.PHONY: bench
bench: ## Measure the current commit with asv, all suites (ARGS='--bench metadata': one)
	@scripts/system-packages.sh build
	@scripts/environment.sh bench
	@scripts/bench.sh 'HEAD^!' $(ARGS)

.PHONY: bench-quick
bench-quick: build ## Run each benchmark once, to see that it works
	@scripts/environment.sh bench || true
	@scripts/bench-quick.sh

.PHONY: bench-history
bench-history: ## Measure the commits of RANGE=v0.1..main that have no results yet
	@scripts/system-packages.sh build
	@scripts/environment.sh bench
	@scripts/bench.sh '$(RANGE)' --skip-existing-successful $(ARGS)

.PHONY: dashboard
dashboard: ## Publish the results of the benchmarks into .asv/html
	@scripts/system-packages.sh dashboard
	@scripts/environment.sh bench
	@.venv/bin/python scripts/dashboard build

.PHONY: dashboard-serve
dashboard-serve: ## Show the dashboard to a browser on this machine (PORT=8082)
	@scripts/environment.sh bench
	@.venv/bin/python scripts/dashboard serve --port $(PORT)

.PHONY: dashboard-check
dashboard-check: ## Open the dashboard in a headless browser: is all of it drawn?
	@scripts/system-packages.sh test
	@scripts/environment.sh bench
	@.venv/bin/python scripts/dashboard check

.PHONY: bench-compare
bench-compare: ## Is HEAD=… slower than BASE=…? For before a performance change
	@scripts/system-packages.sh build
	@scripts/environment.sh build
	@scripts/bench-compare.sh $(ARGS)

.PHONY: fuzz
fuzz: ## Run the fuzzers, a minute each (ARGS='10 iovec': 10 s, only this one)
	@scripts/fuzz.sh $(ARGS)

.PHONY: asan
asan: ## Run the core's tests under the address sanitizer
	@scripts/sanitizer.sh address $(ARGS)

.PHONY: tsan
tsan: ## Run the core's tests under the thread sanitizer
	@scripts/sanitizer.sh thread $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	@rm -rf .venv .asv dist target .mypy_cache .pytest_cache .ruff_cache .hypothesis
