# make repro: everything, from an empty machine to a tuned and measured model. make test: the same set-up, then the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_WAIT_POLICY ?= PASSIVE
unexport PYTHONDONTWRITEBYTECODE  # compiling torch and transformers anew for each stage would take half a minute in all

MINUTES ?= 60
# the requirements of an extra, without the project's own
extra = $(shell $(PYTHON) -c "import sys, tomllib; print(*map(repr, tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'][sys.argv[1]]))" $(1))

.PHONY: repro test soak check deps docs figure lock sbom advice mutants benchmark gpu-proof clean

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

# POOL=my_pool.jsonl DEV=lm_eval:gsm8k MODEL=Qwen/Qwen2.5-0.5B; ARGS has further options of the command
gpu-proof: .venv/installed  ## the paper's settings, cut to an hour, on one GPU; build/gpu-proof/results.md
	python -m benchmarks.gpu.proof --pool "$(POOL)" --dev "$(DEV)" --model "$(MODEL)" $(ARGS)

# Nothing that is locked is installed with another digest. Torch comes first: of its wheels pip takes the one that its indexes
# prefer for this machine, and then only if it is locked. What both locks lack is what that wheel asks for, as CUDA's libraries.
.venv/installed: requirements.lock torch.lock
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip download --quiet --no-deps --dest .venv/wheels $$(grep --only-matching '^torch==[0-9.]*' torch.lock)
	.venv/bin/python -m pip install --quiet --no-compile --no-deps --no-index --find-links .venv/wheels --require-hashes --requirement torch.lock
	.venv/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-compile --editable .
	rm -r .venv/wheels
	touch $@

lock:  ## requirements.lock and torch.lock from pyproject.toml, in a venv of its own
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0
	.lock-venv/bin/python -m pip install --quiet --editable '.[dev]' $(call extra,lock)
	.lock-venv/bin/python -m tools.lock
	rm -r .lock-venv

sbom: .venv/installed build/advice/installed  ## build/sbom.json: what is installed, for other programs (CycloneDX)
	build/advice/bin/cyclonedx-py environment --output-reproducible --output-file build/sbom.json .venv/bin/python

advice: .venv/installed build/advice/installed  ## known vulnerabilities of what is installed, and its licences
	build/advice/bin/pip-licenses --python .venv/bin/python --summary --order count
	build/advice/bin/pip-audit --disable-pip --require-hashes --requirement requirements.lock --requirement torch.lock

build/advice/installed: pyproject.toml
	$(PYTHON) -m venv --clear build/advice
	build/advice/bin/python -m pip install --quiet $(call extra,advice)
	touch $@

mutants: .venv/installed  ## benchmarks/mutants.json: how many faults that are put into the code the tests find
	.venv/bin/python -m pip install --quiet $(call extra,mutants)
	python -m tools.mutants --minutes $(MINUTES)

clean:
	rm -rf .venv .shed
