# `make demo` shows the whole loop, `make test` proves it; both set up everything they need.
# Every path is relative, so that the clone may lie in a folder whose name has a space.

PYTHON311 ?= python3.11
VENV := .venv
PYTHON := $(VENV)/bin/python
POINTSMAN := $(PYTHON) -m pointsman
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up down test test-long nightly test-fast chaos chaos-nightly soak mutations screenshots lint setup install java \
	prometheus chromium compose check-deploy scan audit bench bench-long bench-smoke bench-setup

help:
	@echo "make demo       a stack of its own, some leads, what happened to each, the mails; then stops everything"
	@echo "make up         start the local stack and leave it running"
	@echo "make down       stop it; its state stays in .pointsman"
	@echo "make test       all tests, on real Kafka, MongoDB and Flink, and the critical half of the faults"
	@echo "make test-fast  the tests that need no Java"
	@echo "make test-long  what make test leaves out for time: archive, schema registry, fast delivery, rollouts, restore, process mode"
	@echo "make nightly    make test-long, make chaos-nightly, make bench-smoke"
	@echo "make chaos      breaks one thing after the other under load, counts, and writes docs/guarantees.md"
	@echo "make compose    the whole system in containers (needs a Docker engine)"
	@echo "make check-deploy  compose file and Helm chart, by their own tools (builds them once; needs Go 1.24)"
	@echo "make chaos-nightly  the same with more of everything"
	@echo "make soak       half an hour of leads and faults at random: what is lost, what comes twice, what grows"
	@echo "make mutations  switches one mechanism off at a time and shows that a test notices"
	@echo "make screenshots  takes the pictures of the console in docs/images, on a stack of its own"
	@echo "make bench      measures the router beside other ways to do the same (three hours), and writes docs/performance.md"
	@echo "make bench-long  the same for what takes long: start, half an hour under load"
	@echo "make bench-smoke  runs a little of it, for breakage and not for figures"
	@echo "make scan       risky code, secrets in files"
	@echo "make audit      the same, and known weaknesses of what is pinned (needs PyPI)"
	@echo "make lint       style, types and imports"

demo: java setup
	@$(POINTSMAN) demo

up: java setup
	@$(POINTSMAN) up

down: setup
	@$(POINTSMAN) down

test: java prometheus chromium scan test-fast
	@$(PYTHON) -m pytest tests/e2e -m "not long" --durations=15
	@$(PYTHON) -m pytest tests/chaos -m critical --tier critical

test-long: java setup
	@$(PYTHON) -m pytest tests/e2e -m long

nightly: test-long chaos-nightly bench-smoke

test-fast: setup
	@$(PYTHON) -m pytest tests/unit tests/contract -n auto

chaos: java setup
	@$(PYTHON) -m pytest tests/chaos -m "not soak and not nightly"
	@$(PYTHON) -m tests.chaos.report

chaos-nightly: java setup
	@$(PYTHON) -m pytest tests/chaos -m "not soak" --tier nightly

soak: java setup
	@$(PYTHON) -m pytest tests/chaos -m soak -s
	@$(PYTHON) -m tests.chaos.report

mutations: java setup
	@$(PYTHON) -m tests.mutations
	@$(PYTHON) -m tests.chaos.report

screenshots: java setup
	@$(PYTHON) -m tests.e2e.screenshots

# What is to be measured, and how: make bench BENCH="--only P2 --repeats 3"
BENCH ?=

bench: java bench-setup
	@$(PYTHON) -m bench run $(BENCH); status=$$?; $(PYTHON) -m bench page && exit $$status

bench-long: java bench-setup
	@$(PYTHON) -m bench run --long $(BENCH); status=$$?; $(PYTHON) -m bench page && exit $$status

bench-smoke: java bench-setup
	@$(PYTHON) -m bench run --smoke

bench-setup: setup
	@{ $(PYTHON) -c "import matplotlib, uvloop" && test -x $(VENV)/bin/py-spy; } 2>/dev/null || \
		$(PYTHON) -m uv pip install --quiet --python $(PYTHON) -c constraints.txt -e ".[bench]" 2>/dev/null || \
		$(PYTHON) -m pip install --quiet -c constraints.txt -e ".[bench]"

lint: setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(VENV)/bin/lint-imports

compose:
	@docker/make_secrets.sh
	docker compose --file docker/compose.yaml up --build --detach

check-deploy: setup
	@docker/check.sh

scan: setup
	@$(PYTHON) -m bandit --quiet --severity-level medium --recursive pointsman flink_jobs agents
	@git ls-files -z | xargs -0 $(VENV)/bin/detect-secrets-hook --disable-plugin KeywordDetector --exclude-files '^tests/'

audit: scan
	@$(PYTHON) -m pip_audit --strict --disable-pip --no-deps --requirement constraints.txt

# Named before the first download; `pointsman up` looks at versions, ports, disk and memory.
java:
	@{ [ -n "$$JAVA_HOME" ] && [ -x "$$JAVA_HOME/bin/java" ]; } || command -v java >/dev/null 2>&1 || \
		{ echo "java was not found: install a JDK 17 or newer, or set JAVA_HOME" >&2; exit 3; }
	@[ -f .pointsman/jars/complete ] || command -v mvn >/dev/null 2>&1 || \
		{ echo "mvn was not found: install Maven 3.8 or newer (it fetches the jars, once)" >&2; exit 3; }

prometheus:
	@{ command -v prometheus && command -v promtool; } >/dev/null 2>&1 || \
		{ echo "prometheus was not found: the tests of metrics run it (Debian: apt-get install prometheus)" >&2; exit 3; }

chromium:
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1 || \
		{ echo "chromium was not found: the tests of the console run it (Debian: apt-get install chromium)" >&2; exit 3; }

# The marker holds what the virtual environment was made from, and where: a moved clone is set up anew.
setup:
	@wanted="$$(cat pyproject.toml constraints.txt | cksum) $$PWD"; \
	[ "$$(cat $(READY) 2>/dev/null)" = "$$wanted" ] || \
		{ $(MAKE) --no-print-directory install && printf '%s' "$$wanted" > $(READY); }

# uv installs in a fifth of pip's time, but it does not read pip's configuration: pip comes after it. It compiles as pip
# does: where PYTHONDONTWRITEBYTECODE is set, every start of a worker or an agent would compile anew, for seconds.
install:
	@command -v "$(PYTHON311)" >/dev/null 2>&1 || { echo "$(PYTHON311) was not found: install Python 3.11" \
		"(apache-flink runs on no newer one), or say where it is: make PYTHON311=/path/to/python3.11" >&2; exit 3; }
	@echo "setting up $(VENV) (once; some minutes on a slow line)"
	@rm -f $(READY)
	@"$(PYTHON311)" -m venv --clear $(VENV)
	@$(PYTHON) -m pip install --quiet --upgrade "pip>=25.1"
	@{ $(PYTHON) -m pip install --quiet -c constraints.txt uv && $(PYTHON) -m uv pip install --quiet --python $(PYTHON) \
		--compile-bytecode -c constraints.txt -e ".[local,local-model,knowledge,tools]" --group dev; } || \
	$(PYTHON) -m pip install --quiet -c constraints.txt -e ".[local,local-model,knowledge,tools]" --group dev
