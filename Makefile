# Two commands matter: `make run` and `make test`. Each installs what it needs (packaging/prepare.sh),
# so a fresh Debian machine and a developer's laptop go the same way.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

UI       := aggregator/ui
ENGINE   := target/engine/libchdb.so
REDACT   := target/plugins/redact.wasm
GUESTS   := target/plugins/columns.wasm target/plugins/raw.wasm
PLUGINS  := $(patsubst plugins/%/Cargo.toml,target/plugins/%.wasm,$(wildcard plugins/*/Cargo.toml))
UI_STAMP := target/stamps/ui-dist
UI_DEPS  := target/stamps/ui-modules
UI_FILES := $(shell find $(UI) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help run test test-sdk torture bench-agent bench-herd bench-ingest bench-outage bench-plugins versions prepare prepare-test binaries release check-rust check-ui test-rust test-ui clean-data longest

help:
	@echo 'make run            build everything, start aggregator, agent and a demo application; Ctrl-C stops all'
	@echo 'make test           everything that must hold before a change lands'
	@echo 'make torture        the promise under every fault we can name, for half an hour (MINUTES=30 SEED=...)'
	@echo 'make versions       the same with agents, then aggregators, of another version in it (OLD=<revision> MINUTES=4)'
	@echo 'make bench-agent    what the agent costs: CPU, memory, bytes on the wire, latency of an answer'
	@echo 'make bench-herd     ten thousand agents come back at once: fairness, refusals, memory'
	@echo 'make bench-ingest   what storing costs: CPU of pipeline and engine, bytes on the disk (ITEMS=1000000)'
	@echo 'make bench-outage   how the backlog of an outage drains, and whether fresh data waits behind it'
	@echo 'make bench-plugins  what processors cost: ns a span, and what a plugin costs before its first batch'

prepare: target/stamps/prepared-run
prepare-test: target/stamps/prepared-test

target/stamps/prepared-%: packaging/prepare.sh
	packaging/prepare.sh $*
	@mkdir -p $(@D) && touch $@

# --- parts that cargo does not build -------------------------------------------------------------

$(ENGINE): packaging/engine/fetch.sh packaging/engine/package.json packaging/engine/package-lock.json | target/stamps/prepared-run
	packaging/engine/fetch.sh $(@D)
	@touch $@

# Built by our own tool, from whichever profile the calling target has just built.
CLI := target/debug/petrel
target/plugins/%.wasm: $(shell find plugins wit sdk/rust -type f -not -path '*/target/*' 2>/dev/null)
	$(CLI) plugin build plugins/$* -o $@
	@touch $@

# Guests that only measurements need.
$(GUESTS): target/plugins/%.wasm: $(shell find sdk/plugin-host/tests/guests wit -type f -not -path '*/target/*' 2>/dev/null)
	$(CLI) plugin build sdk/plugin-host/tests/guests/$* -o $@
	@touch $@

$(UI_DEPS): $(UI)/package-lock.json | target/stamps/prepared-run
	cd $(UI) && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(@D) && touch $@

$(UI_STAMP): $(UI_DEPS) $(UI_FILES)
	cd $(UI) && npm run --silent build
	@mkdir -p $(@D) && touch $@

# --- run -----------------------------------------------------------------------------------------

run: prepare $(ENGINE) $(UI_STAMP)
	cargo build --release --locked --workspace --bins
	$(MAKE) --no-print-directory $(REDACT) CLI=target/release/petrel
	@packaging/run.sh

# --- test ----------------------------------------------------------------------------------------

test: prepare-test check-rust check-ui test-sdk test-ui test-rust longest

check-rust: prepare $(UI_STAMP)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd plugins && cargo fmt --all --check
	cd plugins && cargo clippy --workspace --all-targets --locked -- -D warnings

check-ui: $(UI_DEPS)
	cd $(UI) && npm run --silent typecheck && npm run --silent lint

test-ui: $(UI_STAMP)
	cd $(UI) && npm run --silent test && npm run --silent e2e

# The SDKs of other languages without a host; what they do in one is in tests/tests/it/guests.rs.
test-sdk: $(UI_DEPS) | target/stamps/prepared-test
	cd sdk/javascript && node --import petrel-plugin/testing --test test/*.test.js
	$(UI)/node_modules/.bin/tsc --project sdk/javascript/test
	cd sdk/go && test -z "$$(gofmt -l .)" && go vet ./... && go test ./...
	cd sdk/python && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover test

# Binaries and tests together: the same features for all, so nothing is compiled twice.
binaries: prepare-test $(ENGINE) $(UI_STAMP)
	cargo build --workspace --bins --tests --locked
	$(MAKE) --no-print-directory $(PLUGINS)

# Units, properties, power cuts; then both binaries with real SDKs and a real browser.
test-rust: binaries
	INSTA_UPDATE=no cargo test --workspace --locked
	cd plugins && cargo test --workspace --locked

# Half an hour of faults against a fleet; then death at any system call, the power cuts of a file
# system, and twenty thousand power cuts of a simulated disk.
MINUTES := 30
torture: release
	target/release/torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))
	$(MAKE) --no-print-directory binaries
	cargo test --workspace --locked --test it --test spool -- --ignored --nocapture

# The fleet in weather with two versions in it: first every second start of an agent is one of OLD, so
# that each spool is opened by both in turn, then all aggregators are.
OTHER := target/other
versions: release
	test -n "$(OLD)" || { echo 'say which: make versions OLD=<revision>'; exit 1; }
	test -d $(OTHER) || git worktree add --detach $(OTHER) $(OLD)
	mkdir -p $(OTHER)/target && ln -sfn $(CURDIR)/target/engine $(OTHER)/target/engine
	$(MAKE) --no-print-directory -C $(OTHER) release
	PETREL_OTHER_AGENTS=$(OTHER)/target/release target/release/torture --minutes $(MINUTES)
	PETREL_OTHER_AGGREGATORS=$(OTHER)/target/release target/release/torture --minutes $(MINUTES)
	git worktree remove --force $(OTHER)

bench-agent: release target/peer/otelcol
	target/release/load agent --peer target/peer/otelcol
	target/release/load agent --per-request 100 --peer target/peer/otelcol

ITEMS := 1000000
bench-ingest: release target/peer/rotel-agent
	target/release/load ingest --items $(ITEMS) --peer target/peer/rotel-agent

bench-outage: release
	target/release/load outage

bench-herd: release
	target/release/load herd
	target/release/load herd --same-instant true

release: prepare-test $(ENGINE) $(UI_STAMP)
	cargo build --release --locked --workspace --bins
	$(MAKE) --no-print-directory $(REDACT) CLI=target/release/petrel

bench-plugins: release
	$(MAKE) --no-print-directory $(GUESTS) target/plugins/tail-sample.wasm CLI=target/release/petrel
	cargo bench --locked -p petrel-plugin-host

# The OpenTelemetry Collector with what the comparison needs, built from its published modules.
target/peer/otelcol: tests/load/otelcol.yaml
	go run go.opentelemetry.io/collector/cmd/builder@v0.155.0 --config $<

# Another peer, as it is published: the binary lies in a wheel for Python.
target/peer/rotel-agent:
	python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest $(@D) rotel==0.0.1a15
	cd $(@D) && python3 -m zipfile -e rotel-*.whl rotel-wheel
	install -m 755 $(@D)/rotel-wheel/rotel/rotel-agent $@

# Growth is watched, not forbidden.
longest:
	@echo 'Ten longest files:'
	@git ls-files '*.rs' '*.ts' '*.tsx' | grep -v generated | xargs wc -l | grep -v ' total$$' | sort -rn | sed -n '1,10p'

clean-data:
	rm -rf data
