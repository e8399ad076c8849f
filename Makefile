# Two commands matter: `make demo` and `make test`. Both set up what they need; nothing is asked.

PYTHON ?= python3
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE

ENVIRONMENTS := sdk2 sdk3 s3clients moto training tensorflow triton
# One process more than there are cores, since tests wait half of the time. A file's tests stay together and in order, since
# they share what is costly to make.
PROCESSES = $(shell expr $$(nproc) + 1)
PYTEST = $(BIN)/python -m pytest -q --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder --durations=40 --durations-min=5

.PHONY: demo test everything debian lint types unit coverage bench clean $(ENVIRONMENTS)

demo: .venv/.runs
	$(BIN)/wildsage demo

# The environments are made side by side, what needs only the first is checked meanwhile; then the tests.
test:
	$(MAKE) --jobs=4 --output-sync=target everything
	$(PYTEST)

everything: debian lint types coverage $(ENVIRONMENTS)

# What the tests use of Debian's beyond a plain system: network namespaces, MPI, Java for Spark; a container engine and what
# makes an image for it. The engine itself is started by the tests, where none runs.
DEBIAN := ip:iproute2 mpirun:openmpi-bin java:openjdk-17-jre-headless dockerd:docker.io debootstrap:debootstrap docker-registry:docker-registry \
	skopeo:skopeo podman:podman
debian:
	set -e; missing=; for each in $(DEBIAN); do command -v $${each%%:*} >/dev/null || missing="$$missing $${each#*:}"; done; \
	[ -z "$$missing" ] || { apt-get update -qq && apt-get install -y -qq $$missing; }

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

# The tests that need neither SDK.
unit: .venv/.ready moto training tensorflow triton
	$(PYTEST) tests/unit tests/wire tests/contract tests/api

# Our figures beside those of peers, which come from Debian (wrk, nginx) and PyPI.
bench: .venv/.ready
	command -v wrk >/dev/null && command -v nginx >/dev/null || { apt-get update -qq && apt-get install -y -qq wrk nginx-light; }
	$(BIN)/python -m benchmarks

$(ENVIRONMENTS): %: .venv-%/.ready

# The files name every package, so there is nothing to resolve; that nothing is missing is checked. Where pip takes a build of
# PyTorch that needs CUDA's packages, which depend on the machine and stand in no file, it is asked to find them.
INSTALL := -m pip install --quiet --disable-pip-version-check
complete = $(1)/bin/python -m pip check || $(1)/bin/python $(INSTALL) -r $(2)

# What the product runs with, and what its demo trains with.
.venv/.runs: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) --no-deps -r requirements/run.txt
	$(BIN)/python $(INSTALL) --no-deps --editable .
	$(BIN)/python -m pip check
	touch $@

.venv/.ready: requirements/dev.txt .venv/.runs
	$(BIN)/python $(INSTALL) --no-deps -r requirements/dev.txt
	$(call complete,$(BIN:/bin=),requirements/dev.txt)
	touch $@

# Modules are compiled when they are first imported: most never are.
.venv-%/.ready: requirements/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python $(INSTALL) --no-deps --no-compile -r $<
	$(call complete,.venv-$*,$<)
	touch $@

clean:
	rm -rf .venv $(ENVIRONMENTS:%=.venv-%) .venv-peers .venv-servers .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
