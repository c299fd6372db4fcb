# vSage: `make help` lists what can be made. Needs Python 3.11 or newer, pip and make.

PYTHON  ?= python3.11
# The CPU build of torch is installed first, so that pip does not pull gigabytes of CUDA. Where that
# version is not to be had, the range in pyproject.toml decides. For a GPU: make setup TORCH=torch
TORCH   ?= torch==2.13.0
EXTRAS  ?=
ARGS    ?=
# Processes that share the tests, whole files each. 0: one after the other.
JOBS    ?= 2
VENV    := .venv
PY      := $(VENV)/bin/python
# One mark for each choice of extras, so that asking for another one installs it.
comma   := ,
SETUP   := $(VENV)/.setup$(if $(EXTRAS),-$(subst $(comma),-,$(EXTRAS)))
# A variable, because a comma would part the arguments of $(call ...).
PROJECT := .$(if $(EXTRAS),[$(EXTRAS)])
export HF_HUB_OFFLINE = 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-gpu models fetched run test check clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP)  ## create .venv and install what `make run` needs (EXTRAS=finetune,infra for more)

setup-dev: $(SETUP)-dev  ## the same, with what `make test` and `make check` need

setup-gpu: $(SETUP)  ## replace faiss-cpu by faiss-gpu and install bitsandbytes
	@$(PY) -m pip uninstall -qy faiss-cpu
	@$(call install,.[gpu])
	@$(PY) -m pip install -q --force-reinstall --no-deps faiss-gpu || $(call failed,faiss-gpu)

models: $(SETUP)  ## fetch and convert the two embedded models (about 1 GB below models/)
	@$(PY) -m rag models $(ARGS)

# The same for those that need the models: there ARGS belong to the command that follows.
fetched: $(SETUP)
	@$(PY) -m rag models

run: fetched  ## ingest docs/kb and serve on 127.0.0.1:8000 (ARGS="server.port=8080" overrides)
	@$(PY) -m serve --ingest docs/kb $(ARGS)

test: $(SETUP)-dev fetched  ## run the whole suite (ARGS="-k chat" selects)
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: $(SETUP)-dev  ## format, lint, types
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy

clean:  ## remove .venv, caches and what tests left; models/ and data/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

failed  = { echo "set-up failed at $(1): read the last lines above; without a network, or behind a mirror, set PIP_INDEX_URL; on a full disk, free about 4 GB; then run the same command again" >&2; exit 1; }
install = $(PY) -m pip install -q --disable-pip-version-check '$(1)' || $(call failed,pip install $(1))

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: vSage needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || $(call failed,python -m venv (is the venv module installed?))

# The marks are written only after all went well, so that an interrupted set-up is repeated.
$(SETUP): $(VENV)/bin/python pyproject.toml
	@echo "installing vSage's dependencies, a few minutes the first time"
	@$(PY) -m pip install -q --disable-pip-version-check "$(TORCH)" || \
	  echo "$(TORCH) is not to be had here: taking what pyproject.toml allows" >&2
	@$(call install,$(PROJECT))
	@touch $@

$(SETUP)-dev: $(SETUP)
	@$(call install,.[dev])
	@touch $@
