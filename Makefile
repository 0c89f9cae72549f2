# Every target sets itself up: a virtual environment in .venv with the versions of requirements.lock.
# Nothing here installs system software; where a target needs some, it says what.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help lab test test-labs test-notebooks test-beside-labs test-controls test-controls-timed test-controls-steady test-compose test-compose-labs test-compose-rest test-python test-browser machines machines-down test-machines slides soak rehearse drift pictures bench up down lock clean
.DEFAULT_GOAL := help

help:
	@echo 'make lab            starts the class: data, a cluster, and JupyterLab with lab 00'
	@echo 'make test           runs unit tests, exercises, format checks, and labs 00 to 02'
	@echo 'make test-labs      runs every lab at size smoke'
	@echo 'make test-controls  takes the cause of each claim away and checks that the claim turns false'
	@echo 'make test-compose   tests the containers on a running Docker engine'
	@echo 'make test-python    runs labs 00 to 02 and 13 in the image on Python 3.14 (or PYTHON_IMAGE=python:3.12-slim)'
	@echo 'make test-browser   tests JupyterLab, the report and the slides in a real browser'
	@echo 'make slides         makes the slides as pages and PDF in build/slides'
	@echo 'make up, make down  starts and stops the containers: scheduler, WORKERS=2 workers, notebook with 2 GB'
	@echo 'make machines       starts four containers as machines, with SSH and Slurm, for labs 22 and 23 (make machines-down)'
	@echo 'make test-machines  runs labs 22 and 23 and their controls on such machines'
	@echo 'make soak           kills a hundred workers at random while jobs run, and checks every answer'
	@echo 'make rehearse       runs the whole class at size class and writes a report to build/rehearsal'
	@echo 'make drift          asks releases of Dask which claims hold (VERSIONS="2025.7.0 newest"), and makes a page of it'
	@echo 'make pictures       draws the pictures of README and slides from that report'
	@echo 'make bench          compares speeds with named alternatives in one run'
	@echo 'make lock           updates requirements.lock'
	@echo 'Other Python:       make PYTHON=python3.13 lab'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -I tools/environment.py

lab: $(READY)
	@$(BIN)/daskclass lab

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/format_labs.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/pytest --doctest-modules src/daskclass
	$(BIN)/pytest --numprocesses 3 --dist worksteal -m 'not controls and not parts and not labs and not compose and not browser and not machines'
	$(BIN)/pytest --nbval-lax --numprocesses 2 --dist loadfile $(wildcard labs/00-*.ipynb labs/01-*.ipynb labs/02-*.ipynb)

# Packages whose requirements contradict JupyterLab's.
ELSEWHERE := build/elsewhere

$(ELSEWHERE)/.ready: requirements-elsewhere.lock $(READY)
	@$(PYTHON) -I tools/environment.py elsewhere

# Claims that compare times hold on cores that a lab has to itself; the other labs run two at a time.
TIMED := 05 11 14
STEADY := 00 01 02 03 04 06 07 08 09 10 12 13 15 20 21
# The notebooks of such a list, without the labs that BUT names on the command line.
BUT :=
notebooks = $(foreach number,$(filter-out $(BUT),$(1)),$(wildcard labs/$(number)-*.ipynb))

test-labs: test-notebooks test-beside-labs

test-notebooks: $(READY)
	$(if $(call notebooks,$(TIMED)),$(BIN)/pytest --timeout 900 --nbval-lax $(call notebooks,$(TIMED)))
	$(if $(call notebooks,$(STEADY)),$(BIN)/pytest --timeout 900 --nbval-lax --numprocesses 2 --dist loadfile $(call notebooks,$(STEADY)))

# What labs describe but don't run: workers that die at random, a debugger from outside, packages for other machines.
test-beside-labs: $(READY) $(ELSEWHERE)/.ready
	$(BIN)/pytest --timeout 900 -m labs tests/labs
	$(ELSEWHERE)/bin/python -m pytest --noconftest tests/elsewhere

test-controls: test-controls-timed test-controls-steady

test-controls-timed: $(READY)
	$(BIN)/pytest --timeout 900 -m controls tests/labs

test-controls-steady: $(READY)
	$(BIN)/pytest --timeout 900 -m parts --numprocesses 2 --dist worksteal tests/labs

# Docker is never installed from here, and no setting of its engine is touched.
.PHONY: engine
engine:
	@docker info >/dev/null 2>&1 || { \
		echo 'A running Docker engine (25 or newer) is missing, or this user may not use it.'; \
		echo 'Linux: https://docs.docker.com/engine/install and add yourself to the group docker; macOS, Windows: Docker Desktop.'; \
		exit 1; }
	@docker compose version >/dev/null 2>&1 || { \
		echo 'Docker Compose 2 is missing: https://docs.docker.com/compose/install'; exit 1; }

up: engine
	@WORKERS=$(or $(WORKERS),2) sh tools/compose_up.sh

down: engine
	@COMPOSE_PROJECT_NAME=$$(sh tools/compose_project.sh) docker compose down

test-compose: test-compose-labs test-compose-rest

test-compose-labs: engine $(READY)
	$(BIN)/pytest --timeout 1800 -m 'compose and labs' tests/compose

test-compose-rest: engine $(READY)
	$(BIN)/pytest --timeout 1800 -m 'compose and not labs' tests/compose

# Containers as machines, for labs 22 and 23.
machines: engine
	@sh tools/machines_up.sh

machines-down: engine
	@COMPOSE_PROJECT_NAME=$$(sh tools/machines_project.sh) docker compose --file deploy/machines/compose.yml down --volumes --timeout 2

# Each lab on machines of its own, at the same time: they mostly wait.
test-machines: engine $(READY)
	$(BIN)/pytest --timeout 900 -m machines --numprocesses 2 --dist loadgroup tests/deploy
	@$(BIN)/python tools/lab_runs.py --note 'on machines' 22-23

# The image on another Python than its own, and in it the labs that lean on Python's own workings.
PYTHON_IMAGE := python:3.14-slim
PYTHON_LABS := 00-02,13

test-python: engine $(READY)
	sh tools/rehearse_on_python.sh $(PYTHON_IMAGE) $(PYTHON_LABS)
	@$(BIN)/python tools/lab_runs.py --note 'another Python' $(PYTHON_LABS)

# Node and a Chromium are never installed from here.
MARP := slides/node_modules/.package-lock.json

$(MARP): slides/package-lock.json
	@command -v npm >/dev/null || { echo 'Node is missing: on Debian and Ubuntu: apt install nodejs npm'; exit 1; }
	@npm ci --prefix slides --no-audit --no-fund --loglevel=error
	@touch $@

PLAYWRIGHT := .venv/.playwright

$(PLAYWRIGHT): requirements-browser.lock $(READY)
	@$(BIN)/python -I tools/environment.py browser
	@touch $@

slides: $(PLAYWRIGHT) $(MARP)
	@$(BIN)/python tools/slides.py

test-browser: $(PLAYWRIGHT) slides
	@$(BIN)/python tools/browser.py
	$(BIN)/pytest --timeout 900 -m browser --numprocesses 2 --dist loadfile tests/browser

soak: $(READY)
	@$(BIN)/daskclass data
	$(BIN)/python tools/soak.py --kills 100

rehearse: $(READY)
	@$(BIN)/daskclass rehearse

# Evidence stays in docs/evidence, where the page comes from. All releases of two years take hours.
drift: $(READY)
	$(BIN)/python tools/drift.py ask $(VERSIONS) || test $$? -eq 1
	@$(BIN)/python tools/drift.py page

pictures: $(PLAYWRIGHT)
	@$(BIN)/python tools/pictures.py

bench: $(READY)
	@$(BIN)/python -I tools/environment.py peers
	$(BIN)/python benchmarks/generator.py
	$(BIN)/python benchmarks/question.py
	$(BIN)/python benchmarks/scheduler.py
	$(BIN)/python benchmarks/scoring.py

# uv is the one resolver that writes a single file for every Python and system at once.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	printf 'uv\n' | build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate $(LOCK_FLAGS) - --output-file requirements-uv.lock
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS) \
		--extra dev --extra managers --extra object-store --extra xgboost pyproject.toml --output-file requirements.lock
	printf 'duckdb\npolars\n' | build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS) \
		--constraint requirements.lock - --output-file requirements-peers.lock
	printf 'playwright\n' | build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS) \
		--constraint requirements.lock - --output-file requirements-browser.lock
	printf 'coiled\ndask-cloudprovider\ndask-kubernetes\ndask-yarn\ndask[distributed]==2026.8.0\npytest\npytest-timeout\n' | \
		build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-header --no-annotate $(LOCK_FLAGS) \
		- --output-file requirements-elsewhere.lock
	build/lock/bin/python tools/check_lock.py build/lock/bin/uv

clean:
	rm -rf .venv build/*
