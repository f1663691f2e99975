# Each target is enough by itself: it sets up .venv first. Needs Python >= 3.11, make and a package index.
PYTHON ?= python3
BIN := .venv/bin
# two test processes of one thread: two threads each on two cores would be ten times slower
JOBS ?= 2
# what the lowest versions are held to; the page that counts cases is the newest's
SMOKE := tests/test_docs.py tests/test_surface.py tests/training tests/explorers/test_contract.py \
	--deselect tests/test_docs.py::test_the_page_of_reliability_counts_what_is_there

.PHONY: study test test-lowest test-adapters lint bench paper setup clean

study: setup  ## the main job: every method on the embedded digits, and the report
	$(BIN)/thalweg study studies/digits.toml

test: setup  ## all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

# gigabytes: old versions of torch have no CPU build on a package index
test-lowest: .setup-lowest  ## a part of the tests, with the lowest versions that pyproject.toml claims
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -p no:xdist $(SMOKE)

test-adapters: .setup-adapters  ## the examples, those that train by other libraries among them
	OMP_NUM_THREADS=1 .venv-adapters/bin/python -m pytest -p no:xdist tests/test_examples.py

lint: setup  ## format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## speed beside plain PyTorch, and docs/performance.md: a quarter of an hour, best on a quiet machine
	OMP_NUM_THREADS=2 $(BIN)/python -m research.bench all page

paper: setup  ## paper/thalweg.pdf, the same in French, and web pages, from committed results alone
	$(BIN)/python -m research.paper

setup: .setup

.setup: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thalweg needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[report,dev]'
	touch .setup

.setup-lowest: pyproject.toml tests/lowest.py
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet -r .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --no-deps -e .
	touch .setup-lowest

.setup-adapters: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-adapters
	.venv-adapters/bin/python -m pip install --quiet -c constraints.txt -e '.[adapters]' pytest
	touch .setup-adapters

clean:
	rm -rf .venv .setup .venv-lowest .setup-lowest .venv-adapters .setup-adapters results
