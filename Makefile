# symbio: `make help` lists what there is. Every target sets up .venv by itself, once.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Nothing reports usage to anybody; hubs are asked only when a model is named that is not here.
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export HF_HUB_DISABLE_TELEMETRY := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo platform worker test test-fast test-slow lint bench lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## the virtual environment, from the locked and hashed list

# uv is quick and compiles bytecode; where it cannot reach the index as pip can, pip does it.
$(READY): requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "symbio needs Python 3.11 or 3.12; name one with PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r bootstrap.lock
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/uv pip install --quiet --python $(BIN)/python \
	  --require-hashes --compile-bytecode -r requirements.lock \
	  || env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	touch $@

demo: $(READY)  ## render, prepare, label, train, evaluate, register: both data sets
	symbio tour

platform: $(READY)  ## PostgreSQL, S3, MLflow, Prefect and a worker on this machine, until Ctrl-C
	@exec python -m infra.local

worker: $(READY)  ## a Prefect worker for this checkout (POOL=local, cluster or slurm), until Ctrl-C
	@SYMBIO_HOME=$(CURDIR) PREFECT_WORKER_QUERY_SECONDS=2 PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 \
	  exec prefect worker start --pool $(or $(POOL),local)

test: test-fast test-slow  ## every test

test-fast: $(READY)  ## the tests that take seconds
	python -m pytest -m "not slow" --numprocesses auto --dist loadfile

test-slow: $(READY)  ## the tests that take longer
	python -m pytest -m "slow and not timed" --numprocesses auto --dist loadfile --durations=15
	python -m pytest -m "slow and timed" --durations=15

lint: $(READY)  ## style and types
	ruff check .
	ruff format --check .
	mypy

bench: $(READY)  ## measure: rendering, preparing, training beside plain PyTorch
	@for file in benchmarks/*.py; do echo "== $$file"; python $$file || exit 1; done

lock: $(READY)  ## resolve the dependencies anew
	uv pip compile pyproject.toml --all-extras --quiet --upgrade \
	  --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --output-file requirements.lock
	awk '/^[a-z]/ {keep = /^uv==/} keep' requirements.lock > bootstrap.lock

clean:  ## remove the environment and everything made; raw data, DVC cache, mlruns/, .platform/ stay
	rm -rf $(VENV) data/sample data/prepared data/pseudo models reports metrics checkpoints registry \
	  evaluations predictions searches workspaces lineage comparisons reproductions \
	  checks tables
	git worktree prune
