# Everything a newcomer, a developer and CI type.  `make help` lists it.
# Nothing has to be installed first but Python 3.11 and make: uv is fetched where it is missing.

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench acceptance env minio sync clean

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --no-sync
# What a command compiled stays for the next, also where the environment says otherwise: tests
# start hundreds of Pythons.
export PYTHONDONTWRITEBYTECODE :=
# Most tests wait for a server or a process rather than for a core.
PARALLEL := --dist worksteal --numprocesses

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'

sync: $(filter .tools/bin/uv,$(UV)) ## Install the locked dependencies into .venv
	@$(UV) sync --quiet --locked --all-extras --compile-bytecode

demo: sync ## Render the example chapter to demo/capitulo.mp3, on real speech and a real store
	@mkdir -p demo
	$(RUN) darkchannel render examples/capitulo.txt -o demo/capitulo.mp3

test: sync ## Run the tests: the fast ones first, then those with speech and whole books
	$(RUN) pytest $(PARALLEL) 4 -m "not acceptance and not slow"
	$(RUN) darkchannel models fetch
	$(RUN) pytest $(PARALLEL) 3 -m "slow and not acceptance"

lint: sync ## Formatting, style, types and the layers of the design
	$(RUN) ruff format --no-cache --check .
	$(RUN) ruff check --no-cache .
	$(RUN) mypy
	$(RUN) lint-imports --no-cache

format: sync ## Format the code
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

bench: sync minio ## Measure against peers and limits; prints tables
	@$(UV) sync --quiet --locked --all-extras --group bench
	$(RUN) python -m benchmarks

acceptance: sync ## What needs a Docker host, MinIO, a browser: gets what is missing, then runs all
	@$(UV) sync --quiet --locked --all-extras --group acceptance
	$(RUN) darkchannel models fetch
	cache=$$(tests/stack/prepare.sh) && export TEST_MINIO_BINARY=$$cache/minio/minio && \
	$(RUN) pytest $(PARALLEL) 3 tests/contract -k minio && \
	$(RUN) pytest -m acceptance

env: ## Write .env with new secrets for the stack; one that is there is left alone
	@python3 scripts/make_env.py

minio: ## Build the pinned MinIO server and client into the cache
	@tests/stack/prepare.sh minio

clean: ## Remove what was built here; weights and the store under the data directory stay
	rm -rf .venv .tools demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
