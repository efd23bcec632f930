# Two commands: `make` reproduces the paper, `make test` tests it. Each target prints the command that
# it runs; after `. .venv/bin/activate` the same commands can be typed by hand.
#   make PYTHON=python3.12     another Python to build .venv with
#   make CORES=4               fewer cores than all
#   make ARGS="fig9 -n"        further arguments for snakemake
#   make TORCH_INDEX=default   PyTorch as the package index has it: envs/install.py says when it is not

PYTHON ?= python3
CORES ?= all
ARGS ?=
PYTEST_ARGS ?=
export TORCH_INDEX

ACTIVATE := . .venv/bin/activate
INSTALLED := .venv/.installed
PYJET := .venv/.pyjet-installed
DOCS := .venv/.docs-installed
SNAKEMAKE := $(ACTIVATE) && snakemake $(strip --cores $(CORES) $(ARGS))

# Snakemake, pip and uv keep things under ~/.cache, and Snakemake stops where it cannot.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p '$(CACHE)' 2> /dev/null && test -w '$(CACHE)' && echo writable),writable)
$(warning $(CACHE) cannot be written, so caches are in .cache here: export XDG_CACHE_HOME='$(CURDIR)/.cache')
export XDG_CACHE_HOME := $(CURDIR)/.cache
endif

.PHONY: all quick report test lint docs help clean-venv

all: $(INSTALLED)  ## reproduce the paper with config/config.yaml
	$(SNAKEMAKE)

quick: $(INSTALLED)  ## the same graph in minutes, with flows that are barely trained
	$(SNAKEMAKE) --configfile config/quick.yaml

report: all  ## one HTML file with every figure, table and loss curve
	$(SNAKEMAKE) --report results/report.html

test: $(INSTALLED) $(PYJET)  ## all tests but the long ones
	$(ACTIVATE) && python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(INSTALLED)  ## style, formats and types of the code, and of the workflow
	$(ACTIVATE) && ruff check .
	$(ACTIVATE) && ruff format --check .
	$(ACTIVATE) && mypy
	$(ACTIVATE) && snakefmt --check Snakefile workflow/Snakefile rules
	$(ACTIVATE) && snakemake --lint

docs: $(INSTALLED) $(DOCS)  ## the site of docs/, into site/; every link is checked
	$(ACTIVATE) && NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

clean-venv:  ## delete .venv
	rm -rf .venv

# Before anything is installed or run. An environment names its folder: that of a folder which has
# another name now would give a command that is not found, or another one from PATH without a word. A
# link to the environment of another clone is right.
.PHONY: here
here:
	@case "$$(pwd -P)" in *[{}\$$\`]*) \
	  printf 'error: %s: rename this folder, without any of {}$$`\n' "$$(pwd -P)" >&2; exit 1;; esac
	@test ! -e $(INSTALLED) || { $(ACTIVATE) && test "$$VIRTUAL_ENV" -ef .venv; } \
	  || { echo "error: .venv is not of this folder, which was renamed, moved or copied: make clean-venv, then make again" >&2; exit 1; }

# The stamp is the last thing written, so an interrupted installation starts again from nothing.
$(INSTALLED): envs/requirements.lock envs/install.py | here
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null \
	  || { echo "error: Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is not: try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(ACTIVATE) && python envs/install.py
	@touch $@

# The second jet engine, which only tests use, is compiled here: envs/pyjet.txt says why.
$(PYJET): envs/pyjet.txt $(INSTALLED)
	@command -v c++ > /dev/null || { echo "error: no C++ compiler (c++): install one, such as g++" >&2; exit 1; }
	$(ACTIVATE) && pip install --quiet "$$(grep '^cython==' envs/pyjet.txt)"
	$(ACTIVATE) && pip install --quiet --no-deps --no-build-isolation --no-binary pyjet --no-cache-dir -r envs/pyjet.txt
	@touch $@

# Only `make docs` needs these.
$(DOCS): envs/docs.txt $(INSTALLED)
	$(ACTIVATE) && pip install --quiet --no-deps -r envs/docs.txt
	@touch $@
