# Two commands matter: `make demo` and `make test`. Both set up what they need; nothing is asked.

PYTHON ?= python3
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test debian lint types unit coverage bench clean sdk2 sdk3 s3clients moto training

demo: .venv/.ready
	$(BIN)/wildsage demo

test: debian lint types coverage sdk2 sdk3 s3clients moto training
	$(BIN)/python -m pytest -q

# What the tests use of Debian's beyond a plain system: network namespaces, MPI, Java for Spark.
debian:
	command -v ip >/dev/null && command -v mpirun >/dev/null && command -v java >/dev/null || { apt-get update -qq && apt-get install -y -qq iproute2 openmpi-bin openjdk-17-jre-headless; }

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

# Fails if COVERAGE.md is not what the code says; `make COVERAGE.md` writes it anew.
coverage: .venv/.ready
	$(BIN)/python tools/coverage.py --check

.PHONY: COVERAGE.md
COVERAGE.md: .venv/.ready
	$(BIN)/python tools/coverage.py

# The tests that need neither SDK nor much time.
unit: .venv/.ready moto training
	$(BIN)/python -m pytest -q tests/unit tests/wire tests/contract tests/api

# Our figures beside those of peers, which come from Debian (wrk, nginx) and PyPI.
bench: .venv/.ready
	command -v wrk >/dev/null && command -v nginx >/dev/null || { apt-get update -qq && apt-get install -y -qq wrk nginx-light; }
	$(BIN)/python -m benchmarks

sdk2: .venv-sdk2/.ready
sdk3: .venv-sdk3/.ready
s3clients: .venv-s3clients/.ready
moto: .venv-moto/.ready
training: .venv-training/.ready

.venv/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv-%/.ready: requirements/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf .venv .venv-sdk2 .venv-sdk3 .venv-s3clients .venv-moto .venv-training .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
