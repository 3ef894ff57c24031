# saltrust: `make book` and `make test` need Python 3.11-3.13, git and make; they install the rest into .venv.

PYTHON   ?= python3
DATASETS ?= phantom-pneumothorax phantom-pneumonia
PROFILE  ?= quick
JOBS     ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count())")
P        ?=
BIN      := .venv/bin

# Chapters of different data sets run side by side, so each kernel gets its share of the cores.
THREADS := $(shell $(PYTHON) -c "print(max(1, $(JOBS) // min($(JOBS), len('$(DATASETS)'.split()) or 1)))")

.DEFAULT_GOAL := help
.PHONY: help book test test-book benchmark benchmark-full check chapter lab lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo '  Variables: DATASETS="a b"  PROFILE=smoke|quick|full  CHAPTER=localization  DATASET=a  P="name=value ..."  JOBS=2'

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: .venv/installed ## compute what is missing, build the book, print where it is
	PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=$(THREADS) $(BIN)/snakemake --snakefile workflow/Snakefile --workflow-profile workflow/profiles/local \
	    --cores $(JOBS) --config profile=$(PROFILE) datasets="$(DATASETS)" threads=$(THREADS); \
	status=$$?; $(BIN)/saltrust book --profile $(PROFILE) && exit $$status

chapter: .venv/installed ## run one chapter again: CHAPTER=... DATASET=... P="name=value ..."
	$(BIN)/saltrust run $(CHAPTER) --dataset $(DATASET) --profile $(PROFILE) $(addprefix -p ,$(P))

test: .venv/installed ## run the tests
	$(BIN)/python -m pytest

test-book: .venv/installed ## drive the built book in headless Chromium (Debian: chromium, chromium-driver)
	$(BIN)/python -m pytest -m book tests/book

benchmark: .venv/installed ## time and compare the package beside captum, PAIR saliency, Quantus, scikit-image, scikit-learn
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,benchmark]'
	$(BIN)/python -m benchmarks

benchmark-full: .venv/installed ## measure some steps and maps at 320 pixels, and what the profile full would take here
	$(BIN)/python -m benchmarks.full_profile

check: .venv/installed ## lint, layers, and notebooks without outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@! git ls-files '*.ipynb' | grep . || (echo "notebooks are committed as py:percent, without outputs"; exit 1)

lab: .venv/installed ## open the chapters in JupyterLab, paired with their sources
	$(BIN)/python -m pip install --quiet jupyterlab
	$(BIN)/jupytext --quiet --sync notebooks/*.py
	$(BIN)/jupyter lab notebooks

lock: ## pin the newest packages that pyproject.toml allows in requirements.lock
	$(BIN)/python workflow/lock.py

clean: ## remove the built book; results and environment stay
	rm -rf book/_build book/evidence
