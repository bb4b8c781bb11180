# `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
XTASK ?= $(CARGO) xtask
# cargo-nextest where it is installed, else cargo's own runner: the same tests, other output. Four threads for each core, of which
# a test takes four unless it mostly waits: .config/nextest.toml.
RUNNER := $(shell $(CARGO) nextest --version >/dev/null 2>&1 \
  && echo "nextest run --no-fail-fast --profile weighted --test-threads $$((4 * $$(nproc)))" \
  || echo "test --no-fail-fast --lib --bins --tests")
# The crates that are built without the AWS SDK, which takes longer to compile than all the rest, and without PostgreSQL and
# Elasticsearch, whose tests need servers.
WITHOUT_AWS := --no-default-features --package ecs-scheduler \
  $(addprefix --package ecs-scheduler-,core backend-local backend-log-store backend-sqlite trigger-compose trigger-cron)
# Left out of the inner loop: the simulations, which take seconds each, and the test of a library that `make emulators` installs.
SLOW := crash:: engine::year:: engine::cap:: queue_model:: replicas:: random_ library_of_standard_webhooks
# The program as the tests build it, so that nothing is built a second time to look at its pages and its API.
PROGRAM := target/debug/ecs-scheduler

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build, and run the demo: local tasks, four jobs, http://127.0.0.1:5000
	$(CARGO) run --package ecs-scheduler --no-default-features -- demo

.PHONY: test
test: test-rust test-doc test-api test-deploy ## Run every test

.PHONY: test-fast
test-fast: ## Run the tests of the inner loop: no AWS, no PostgreSQL, no simulations, no killed processes
	$(CARGO) $(RUNNER) $(WITHOUT_AWS) -- $(addprefix --skip ,$(SLOW))

.PHONY: test-rust
test-rust: emulators
	$(CARGO) $(RUNNER) --workspace --all-features

.PHONY: test-doc
test-doc:
	$(CARGO) test --workspace --all-features --doc

.PHONY: emulators
emulators: ## Install the tools of the tests: emulators of AWS and Elasticsearch, at pinned versions, into .tools, and a PostgreSQL server
	scripts/emulators.sh
	scripts/postgres.sh

# Installs Schemathesis, a validator and two generators of clients into .tools, at pinned versions, before the first run.
.PHONY: test-api
test-api: program
	scripts/schemathesis.sh $(PROGRAM)

# Installs a linter and two parsers into .tools, at pinned versions, before the first run.
.PHONY: test-deploy
test-deploy:
	scripts/deploy.sh

.PHONY: lint
lint: ## Check formatting, clippy, a build without features, the documentation's links, and the rules of xtask
	$(CARGO) fmt --all --check
	$(MAKE) clippy clippy-without-features
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features
	$(XTASK) layering
	$(XTASK) circles
	$(XTASK) plan
	$(XTASK) copies
	$(XTASK) dependencies
	$(XTASK) licences
	$(XTASK) names
	$(XTASK) prose
	$(XTASK) sizes
	$(XTASK) bounds

.PHONY: clippy
clippy:
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings

# The examples need the program with its features. The other crates have none, so that only the program is built again.
.PHONY: clippy-without-features
clippy-without-features:
	$(CARGO) clippy --workspace --exclude folder-scheduler --exclude spool-scheduler --no-default-features --all-targets \
	  --locked -- -D warnings

.PHONY: size
size: ## Print the sizes of files per crate, and the files that are too long
	@$(XTASK) sizes

.PHONY: crash
crash: ## Kill the scheduler 200 times at random and at each step, with local tasks and on AWS, and audit what it leaves
	ECSS_CRASH_ROUNDS=200 $(CARGO) test --package ecs-scheduler --test it crash:: -- --nocapture --test-threads 1

.PHONY: crash-replicas
crash-replicas: ## Inject 54 faults into two and three replicas on PostgreSQL, and 54 on DynamoDB, and audit the result: half an hour
	CARGO_PROFILE_DEV_OPT_LEVEL=1 ECSS_REPLICA_FAULTS=54 \
	  $(CARGO) test --package ecs-scheduler --test it replicas::faults -- --nocapture --test-threads 1

.PHONY: model
model: ## Check the model of the protocol over its whole state space: some minutes and GB of memory
	$(CARGO) run --release --package ecs-scheduler-model --example large

MUTANTS := .tools/mutants-27.1.0/bin/cargo-mutants
MUTATE ?= $(addprefix core/src/,decide.rs decide/*.rs queue/*.rs firing.rs engine/catch_up.rs engine/dispatch.rs engine/dispatch/*.rs \
  schedule/**/*.rs)

# Installs cargo-mutants (MIT) before the first run. Needs cargo-nextest and takes hours, so it is no part of `make check`.
.PHONY: mutants
mutants: $(MUTANTS) ## Change the rules of the core in one place at a time, and list the changes that no test detects: hours
	CARGO_TARGET_DIR=$(CURDIR)/target/mutants $(MUTANTS) mutants $(foreach glob,$(MUTATE),-f '$(glob)') $(ARGS)

$(MUTANTS):
	CARGO_TARGET_DIR=$(CURDIR)/target/mutants \
	  $(CARGO) install --locked cargo-mutants --version $(patsubst .tools/mutants-%/bin/,%,$(dir $@)) --root $(dir $(@D))

.PHONY: bench
bench: emulators ## Measure
	$(CARGO) bench $(WITHOUT_AWS) --benches
	$(CARGO) bench --package ecs-scheduler --bench aws --bench replicas

.PHONY: program
program:
	@$(CARGO) build --quiet --workspace --all-features --tests

.PHONY: docs
docs: program ## Write the generated pages of doc/
	$(PROGRAM) reference configuration > doc/configuration.md
	$(PROGRAM) reference cli > doc/cli.md
	$(XTASK) crates --write

.PHONY: drift
drift: program ## Check that the generated pages of doc/ are up to date (`make docs` writes them)
	@for page in configuration cli; do \
	  diff -u doc/$$page.md <($(PROGRAM) reference $$page) \
	    || { echo "doc/$$page.md is not what the code says; run make docs"; exit 1; }; \
	done
	@$(XTASK) crates

.PHONY: check
check: ## Run everything that CI runs
	.ci/run
