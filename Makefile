# saltrust: `make book` and `make test` need Python 3.11-3.13, git and make; they install the rest into .venv.

PYTHON   ?= python3
DATASETS ?= phantom-pneumothorax phantom-pneumonia
PROFILE  ?= quick
EXECUTOR ?= local
JOBS     ?=
OPTIONS  ?=
VERBOSE  ?=
EDITION  ?=
P        ?=
SEED     ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')
CASE     ?=
BIN      := .venv/bin
export SALTRUST_VERBOSE := $(VERBOSE)
export SALTRUST_EDITION := $(EDITION)

# On one machine: one process a core, as far as the memory allows. On a cluster its profile says what a job gets.
MAKE_JOBS = $(patsubst -j%,%,$(firstword $(filter -j%,$(MAKEFLAGS))))
CORES     = $(or $(JOBS),$(MAKE_JOBS),$(shell $(BIN)/python -c "import joblib; print(joblib.cpu_count())"))
MEMORY    = $(shell $(BIN)/python -c "import psutil; print(psutil.virtual_memory().total >> 20)")
SHARE     = $(if $(filter local,$(EXECUTOR)),--cores $(CORES) --resources mem_mb=$(MEMORY),$(addprefix --jobs ,$(JOBS)))

.DEFAULT_GOAL := help
.PHONY: help env book test fuzz test-book test-cluster benchmark benchmark-full check chapter lab lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo '  Variables: DATASETS="a b"  PROFILE=smoke|quick|full  CHAPTER=localization  DATASET=a  P="name=value ..."  JOBS=2  VERBOSE=1  EDITION=student'
	@echo '  On a cluster: EXECUTOR=slurm  JOBS=50  OPTIONS="--set-resources ..."'

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

env: .venv/installed ## set up .venv, as every other command does first

book: .venv/installed ## compute what is missing, build the book, print where it is
	@export PATH="$(CURDIR)/$(BIN):$(PATH)"; exec python workflow/book.py --snakefile workflow/Snakefile --workflow-profile workflow/profiles/$(EXECUTOR) $(SHARE) $(OPTIONS) --config profile=$(PROFILE) datasets="$(DATASETS)"

chapter: .venv/installed ## run one chapter again: CHAPTER=... DATASET=... P="name=value ..."
	$(BIN)/saltrust run $(CHAPTER) $(addprefix --dataset ,$(DATASET)) --profile $(PROFILE) $(addprefix -p ,$(P))

test: .venv/installed ## run the tests, a process a core
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

fuzz: SEED := $(SEED)
fuzz: .venv/installed ## try thousands of broken files, commands and numbers; again: SEED=... CASE=...
	@echo "SEED=$(SEED)"
	$(BIN)/python -m pytest $(if $(CASE),'$(CASE)',tests/fuzz --numprocesses auto --maxprocesses 8 --dist worksteal) \
		--hypothesis-profile=$(if $(CASE),shrink,fuzz) --hypothesis-seed=$(SEED)

test-book: .venv/installed ## drive the built book in headless Chromium (Debian: chromium, chromium-driver)
	$(BIN)/python -m pytest -m book tests/book

test-cluster: .venv/installed ## build a book on a small Slurm of this machine, with a node that fails (Debian: slurm-wlm, munge)
	$(BIN)/python -m pytest -m cluster tests/cluster

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
