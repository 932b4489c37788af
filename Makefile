# Two commands do everything: `make demo` and `make test`. See CONTRIBUTING.md for the slow targets.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ferstream-set-up
DEBIAN := chromium mosquitto mosquitto-clients prometheus shellcheck systemd

# STAMP is made when everything is in the virtual environment, this one when what the daemon needs is in it.
LEAN_STAMP := $(VENV)/.ferstream-set-up-lean

# Test processes at a time; JOBS=0 runs the tests in one.
JOBS := $(shell n=$$(nproc); echo $$((n < 7 ? n + 1 : 8)))
PYTEST = $(BIN)/pytest -m "not slow" -n $(JOBS) --dist worksteal
# These have a floor of their own; that of everything is fail_under in pyproject.toml.
WELL_COVERED := domain events outbox publishing runtime
WELL_COVERED_FLOOR := 95

.PHONY: demo test lint types contracts unit coverage busy setup setup-lean debian clean help
.DEFAULT_GOAL := help

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml uv.lock scripts/setup.sh
	@bash scripts/setup.sh $(VENV) all
	@touch $(LEAN_STAMP) $@

$(LEAN_STAMP): pyproject.toml uv.lock scripts/setup.sh
	@bash scripts/setup.sh $(VENV) lean
	@touch $@

setup: $(STAMP) ## Make the virtual environment from the lock file, with everything for tests and training.

setup-lean: $(LEAN_STAMP) ## The same without TensorFlow and development tools; `make setup` adds them. Nothing is removed.

debian: ## Install the Debian packages that some tests use (root or sudo), or name them.
	@bash scripts/debian.sh $(DEBIAN)

demo: $(LEAN_STAMP) ## Run the whole pipeline on a built-in clip, with a broker of its own.
	@$(BIN)/ferstream demo $(ARGS)

test: $(STAMP) debian lint types contracts coverage ## Everything that must hold: style, sizes, types, contracts, tests, coverage.

lint: $(STAMP) ## Style, and the sizes of files, functions and signatures.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_sizes.py

types: $(STAMP) ## Types.
	$(BIN)/mypy

contracts: $(STAMP) ## Who may import whom.
	$(BIN)/lint-imports

unit: $(STAMP) ## All quick tests, or those of ARGS="tests/runtime -k channel".
	$(PYTEST) $(ARGS)

coverage: $(STAMP) ## All quick tests, and what share of the code they run, with the least that is accepted.
	$(PYTEST) --cov --cov-report=
	@for room in $(WELL_COVERED); do \
	    $(BIN)/coverage report --skip-covered --show-missing --include="ferstream/$$room/*" --fail-under=$(WELL_COVERED_FLOOR) \
	        > .coverage-report || { cat .coverage-report; exit 1; }; \
	done; echo "coverage: $$($(BIN)/coverage report --format=total) % in all; at least $(WELL_COVERED_FLOOR) % of each of $(WELL_COVERED)"

LOOPS ?= 4
busy: $(STAMP) ## All quick tests beside LOOPS busy loops: they must pass on a busy machine too.
	scripts/busy.sh $(LOOPS) $(PYTEST) $(ARGS)

clean: ## Remove what was built.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .coverage* dist build

# -- slow, run by hand ------------------------------------------------------------------------------

.PHONY: bench soak faults fuzz train train-full sbom audit
CLIPS ?= ../shared/videos

bench: $(STAMP) ## Speed against the bare kernels, live latency, start-up, outbox; on recordings in CLIPS.
	mkdir -p bench/results
	for clip in people_walking_1080p sad_to_happy; do $(BIN)/ferstream bench $(CLIPS)/$$clip.mp4 --turns 5 --json bench/results/$$clip.json || exit; done
	$(BIN)/python bench/live.py --seconds 60 --json bench/results/live_1080p25.json
	$(BIN)/python bench/live.py --cameras 4 --size 1280x720 --fps 10 --seconds 300 --json bench/results/four_720p.json
	$(BIN)/python bench/startup.py --json bench/results/startup.json
	$(BIN)/python bench/outbox.py --json bench/results/outbox.json

soak: $(STAMP) ## 30 minutes of four cameras, broker restarts, cuts and reloads; writes numbers and a plot.
	mkdir -p bench/results
	$(BIN)/python bench/soak.py --minutes 30 --json bench/results/soak.json --plot bench/results/soak.png

faults: $(STAMP) debian ## Fault injection in full: outages, 200 cuts, random settings, damaged files, fuzzed requests.
	mkdir -p bench/results
	$(BIN)/pytest -m slow --timeout 1800 $(ARGS)
	$(BIN)/python bench/outage.py --signal KILL --json bench/results/outage_kill.json
	$(BIN)/python bench/outage.py --signal TERM --json bench/results/outage_term.json
	$(BIN)/python bench/outage_daemon.py --json bench/results/outage_daemon.json
	$(BIN)/python bench/cuts.py --cuts 200 --json bench/results/cuts.json

.PHONY: wheel
wheel: $(LEAN_STAMP) ## Build the wheel, install it into an empty environment and run it there, without TensorFlow.
	scripts/try_wheel.sh

FILES ?= 10000
fuzz: $(STAMP) ## Damage FILES recordings of every kind and read them, one process at nice 19; writes the numbers.
	mkdir -p bench/results
	nice -n 19 $(BIN)/python bench/damaged_files.py --files $(FILES) --json bench/results/damaged_files.json

.PHONY: archive-proof
archive-proof: $(STAMP) ## Two hours of recordings as an archive: the events of replay, with workers and drivers killed, on Ray, on a full disk (root).
	mkdir -p bench/results
	$(BIN)/python bench/archive_proof.py --clips $(CLIPS) --ray --kills 50 --driver-kills 10 --full-disk --json bench/results/archive_proof.json
	$(BIN)/python bench/archive_speed.py --clips $(CLIPS) --json bench/results/archive_speed.json

sbom: $(STAMP) ## List every dependency with version and hash, CycloneDX.
	$$(command -v uv || echo .tools/bin/uv) export --locked --all-extras --no-dev --format cyclonedx1.5 --output-file sbom.cdx.json

audit: $(STAMP) ## Known faults of the locked dependencies; asks the package index.
	$$(command -v uv || echo .tools/bin/uv) export --locked --all-extras --no-dev --no-emit-project --output-file /tmp/ferstream-requirements.txt -q
	$$(command -v uvx || echo ".tools/bin/uv tool run") pip-audit --strict --disable-pip -r /tmp/ferstream-requirements.txt

.PHONY: homeassistant
homeassistant: $(STAMP) debian ## Discovery against a real Home Assistant core (500 MB, once, into .tools/homeassistant); needs Python 3.13.
	FERSTREAM_TEST_HOMEASSISTANT=$$(bash scripts/homeassistant.sh) && export FERSTREAM_TEST_HOMEASSISTANT && \
	    $(BIN)/pytest -m slow --timeout 1800 tests/e2e/test_homeassistant_core.py $(ARGS)

.PHONY: service
service: ## The life of the systemd unit on a real systemd in namespaces of its own; needs root.
	$$([ $$(id -u) = 0 ] || echo sudo) deploy/systemd/try.sh

# The shipped model, from Kaggle's fer2013.csv with FER+'s fer2013new.csv beside it. The exact recipe stands in its card.
DATA ?= ../data/fer2013.csv
train: $(STAMP) ## Train the shipped architecture; DATA=path/to/fer2013.csv.
	$(BIN)/ferstream train --data $(DATA) --arch edge --out runs/edge

OUT ?= runs
TEACHERS = 1 2 3
train-full: $(STAMP) ## Teachers, students and their bundles in OUT; DATA=path/to/fer2013.csv. Stopped, it goes on where it was.
	for seed in $(TEACHERS); do $(BIN)/ferstream train --data $(DATA) --arch large --two-heads --seed $$seed --out $(OUT)/teacher-$$seed || exit; done
	for arch in edge small; do \
		$(BIN)/ferstream train --data $(DATA) --arch $$arch --out $(OUT)/$$arch $(foreach seed,$(TEACHERS),--teacher $(OUT)/teacher-$(seed)/two-heads.keras) || exit; done
	$(BIN)/ferstream balance $(OUT)/edge/two-heads.keras --data $(DATA) --name emotion-edge --version 1.3.0 --out $(OUT)/models --min-accuracy 0.885 --min-balanced 0.82 --float16 --replace
	$(BIN)/ferstream balance $(OUT)/small/two-heads.keras --data $(DATA) --name emotion-small --version 1.1.0 --out $(OUT)/models --min-accuracy 0.88 --min-balanced 0.79 --float16 --replace
