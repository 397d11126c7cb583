# Everything happens in .venv, which is made here. PYTHON=python3.12 chooses another interpreter.
# The first that runs and is of a version that TensorFlow has wheels for; 3.11 is the one that CI tests.
FITS := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
LOCK := uv --no-config pip compile --upgrade --quiet --universal --python-version 3.10 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links pyproject.toml
SHAPES := artifacts/shapes/shapes.tflite

.PHONY: help quickstart test docs proof pi lock
help:
	@echo "make quickstart  build the default recipe, bench it, run a demo without a screen"
	@echo "make test        what CI runs: ruff, mypy, import-linter, interrogate, pytest"
	@echo "make docs        the documentation, into dist/site"
	@echo "make proof       the slow proofs, minutes each"
	@echo "make pi          the device side on every kind of emulated Raspberry Pi; needs qemu-user-static, mmdebstrap"
	@echo "make lock        renew the lock files; needs uv"

quickstart: $(READY)
	$(BIN)/edgecnn build
	$(BIN)/edgecnn bench $(SHAPES) --threads 1,2
	$(BIN)/edgecnn demo $(SHAPES) --camera synthetic --view none --frames 405
	@echo
	@echo "The model: $(SHAPES)    its report: artifacts/shapes/report.html"
	@echo "Live, with a camera:     $(BIN)/edgecnn demo $(SHAPES)"
	@echo "With your own photos:    $(BIN)/edgecnn build --data DIR"

test: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet edgecnn
	$(BIN)/pytest

docs: $(READY)
	$(BIN)/mkdocs build --strict --site-dir dist/site
	@echo "The documentation: dist/site/index.html; $(BIN)/mkdocs serve shows it while you write"

proof: $(READY)
	$(BIN)/pytest -m slow

pi: $(READY)
	EDGECNN_FAIL_ON_SKIP=1 $(BIN)/pytest -m qemu -rP --durations=0 tests/pi

lock:
	$(LOCK) --extra build --extra dev --extra pretrained --extra ethos --extra micro --extra openvino \
		-c requirements/universal.in -o requirements/universal.lock
	$(LOCK) --extra tflite-runtime -c requirements/universal.in -c requirements/tflite-runtime.in \
		-o requirements/tflite-runtime.lock

$(READY): requirements/universal.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || \
		{ echo "edgecnn builds with Python 3.10 to 3.13; say which: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/universal.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
