# make repro: everything, from an empty machine to a tuned and measured model. make test: the same set-up, then the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_WAIT_POLICY ?= PASSIVE
unexport PYTHONDONTWRITEBYTECODE  # compiling torch and transformers anew for each stage would take half a minute in all

.PHONY: repro test soak check deps docs figure lock benchmark clean

repro: .venv/installed
	python -m shed.params >/dev/null
	dvc repro

test: .venv/installed
	python -m pytest

check: .venv/installed
	ruff check .
	ruff format --check .
	mypy

deps: .venv/installed  ## the code dependencies in every dvc.yaml, from the imports; the template of `shed init`
	python -m tools.dvc_deps
	python -m tools.project_template

docs: .venv/installed  ## tables, numbers and pictures in README.md and docs/, from committed results
	python -m tools.doc_tables

figure: .venv/installed  ## docs/results.svg and docs/scores.svg, from committed results
	python -m tools.draw_results
	python -m tools.draw_scores

soak: .venv/installed  ## the stories of kills and damage, many times; benchmarks/soak.json
	python -m tools.soak

benchmark: .venv/installed  ## benchmarks/evaluation_cost.json, on the current pipeline
	python -m benchmarks.evaluation_cost

.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --no-compile --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

lock:  ## requirements.lock from pyproject.toml, in a venv of its own
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0
	.lock-venv/bin/python -m pip install --quiet --editable '.[dev]'
	.lock-venv/bin/python -m pip freeze --exclude-editable | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > requirements.lock
	rm -r .lock-venv

clean:
	rm -rf .venv .shed
