# Two commands matter: `make demo` and `make test`. Both set everything up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ON_SCREEN := tools/on_screen.sh

.PHONY: demo test lint types unit setup screenshot figures clean

## The main job on the shipped sample, from nothing; see demo-output/.
demo: setup
	$(ON_SCREEN) $(BIN)/cardioxai demo --output demo-output

## Static checks and every test, the real window included.
test: setup lint types unit

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt tools/system_packages.sh
	bash tools/system_packages.sh
	$(PYTHON) tools/check_python.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--group dev --editable ".[gui]"
	touch $(STAMP)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

unit: setup
	$(ON_SCREEN) $(BIN)/python -m pytest

## Renew the README's pictures from the real window.
screenshot: setup
	tools/on_screen.sh --virtual $(BIN)/cardioxai demo --output demo-output
	cp demo-output/screenshot.png docs/window.png
	tools/on_screen.sh --virtual $(BIN)/python tools/picture_concepts.py docs/concepts.png

## The figure of a walked concept in the README: the first drawn heart of the cohort's seed.
figures: setup
	$(BIN)/cardioxai phantom clough -o demo-output/cohort --subjects 1 --seed 1
	$(BIN)/cardioxai traverse demo-output/cohort/labels/s0000.nii.gz --model clough \
		--concept "low PER" --alphas=-2,0,2 -o demo-output/walk --figure docs/low-per.png

clean:
	rm -rf $(VENV) demo-output build dist
