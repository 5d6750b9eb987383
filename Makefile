# `make demo` judges explanations of a real network and of a rendered one; `make test` checks the project.
# Both set up .venv on the first call, and reach the work within seconds on later ones.

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/installed
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: demo test lint types unit arithmetic oldest suites suites-rendered suites-orl bench portability chaos reference
.PHONY: contract fixtures site cluster clean

demo: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/harness run --subject fer2013-minixception --faces orl --profile quick --workers $(WORKERS) --out results/orl
	$(BIN)/harness run --subject faces-cnn --faces rendered --profile quick --workers $(WORKERS) --out results/rendered
	@echo "Open results/orl/report.html and results/rendered/report.html"

test: lint types unit arithmetic suites

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP)
	$(BIN)/mypy

unit: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/python -m pytest tests -n 2 --dist loadfile --ignore tests/core/test_ray.py

# The engine on a cluster of Ray: three nodes on this machine, which Ray gives up where they take half a minute to start,
# so that they are tested with the machine to themselves.
cluster: $(SETUP)
	$(BIN)/python -m pytest tests/core/test_ray.py

# The tests of numbers again, as a machine far from this one would compute them: `unit` has had them as this one does.
arithmetic: $(SETUP)
	$(BIN)/python benchmarks/portability.py --parts arithmetic --legs sse41 --out results/arithmetic

# The unit tests on the lowest version of everything that pyproject.toml allows, in an environment of its own.
oldest: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	rm -rf .venv-oldest
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) tests/floors.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-oldest/constraints.txt --editable ".[dev]"
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement peers.txt
	.venv-oldest/bin/python -m pytest tests -n 2 --dist loadfile

# What earlier runs have made must not stand in for what is tested.
suites-rendered suites-orl contract: export HARNESS_STORE := off

# Two processes of one thread each are faster on two cores than one process of two threads.
suites: $(SETUP)
	OMP_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs 2 --output-sync suites-rendered suites-orl

suites-rendered: $(SETUP)
	$(BIN)/python -m pytest suites --check contract --out results/suites-contract
	$(BIN)/python -m pytest suites --findings --profile quick --out results/suites-rendered

suites-orl: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/python -m pytest suites --findings --profile quick --subject fer2013-minixception --faces orl --out results/suites-orl

# Prints the figures of every benchmark: parity with other implementations, the cost of LIME, faults that metrics catch.
bench: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/python -m benchmarks.explainers_parity
	$(BIN)/python benchmarks/lime_overhead.py
	$(BIN)/python -m benchmarks.metrics_parity
	$(BIN)/python benchmarks/planted_faults.py
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.speed

# Plays other machines on this one: tests, contract and both quick suites under each; goes on where it was stopped, and
# puts what each part said on record.
portability: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/python benchmarks/portability.py --record

# Makes anew what README quotes: the committed run on rendered faces, and the table of what was found on both pairs.
DECIDING := --check cells --check constructed --check randomization-residual --check parts --check mark-spectrum \
	--check mark-transplant
SHOWN := --check deletion-spectrum --check insertion-spectrum
reference: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/harness run --profile quick --workers $(WORKERS) $(DECIDING) $(SHOWN) --feed channels-last:64 --out results/reference
	$(BIN)/harness run --profile quick --workers $(WORKERS) $(DECIDING) --feed channels-last:64 --subject fer2013-minixception --faces orl \
		--out results/reference-orl
	$(BIN)/python docs/findings.py results/reference results/reference-orl

# Kills runs and nodes, damages what they keep, edits what they depend on, gives them bad company and bad input, attacks
# and fuzzes what reads; prints N lost.
chaos: $(SETUP)
	$(BIN)/python -m benchmarks.chaos

# Puts every explainer to the contract and notes who keeps it, which `harness list explainers` shows.
contract: $(SETUP)
	$(BIN)/harness fetch fer2013-minixception orl
	$(BIN)/python -m pytest suites/test_contract.py --record --out results/contract-rendered
	$(BIN)/python -m pytest suites/test_contract.py --record --subject fer2013-minixception --faces orl \
		--out results/contract-orl

# Builds faces and networks anew and says where they differ from the committed ones; trains for long.
fixtures: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement fixtures/requirements.txt
	$(BIN)/python fixtures/build.py

# The pages of docs/ as a site, build/site/index.html, which asks nothing of any other; a link that leads nowhere ends it.
site: $(SETUP)
	$(BIN)/mkdocs build --strict

$(SETUP): pyproject.toml constraints.txt peers.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement peers.txt
	touch $@

clean:
	rm -rf .venv .venv-oldest build dist .mypy_cache .pytest_cache .ruff_cache
