# make run [PORT=4000]: builds everything and starts the server; its state is in ./data.
# make test: every check and every test; the last line is "N passed, N failed".
# make bench [ONLY=name]: the figures of docs/benchmarks.md. make fuzz: the fuzz targets, a minute each.
# make sim [SEEDS=200] [SECONDS=30] [FIRST=1000]: whole calls in simulated time, from seeds; ends with the seeds that broke a law.
# make soak [SOAK_MINUTES=5]: 10,000 simulated joins and leaves, then minutes of churn against a server; memory has to stay flat.

.PHONY: run test check bench fuzz sim soak history schema

export ONLY

ifdef PORT
export PARLOR_LISTEN := 0.0.0.0:$(PORT)
endif

run:
	@scripts/setup run
	@scripts/web
	@models/prepare || echo "Without the model the server starts, but looks at no picture: /ready says degraded." >&2
	@cargo build --release --locked
	@exec target/release/parlor serve

test:
	@scripts/test

# The quick half of `make test`, without browsers and servers: format, lints, module graph, licences, the page's lint and types.
check:
	@scripts/setup run
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --locked --test it -- tidy
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check licenses bans sources; fi
	@scripts/web
	npm --prefix web run --silent lint
	npm --prefix web run --silent types

bench:
	@scripts/bench

fuzz:
	@scripts/fuzz

sim:
	@SIM_SEEDS=$(or $(SEEDS),200) SIM_SECONDS=$(or $(SECONDS),30) SIM_FIRST=$(or $(FIRST),1000) RUST_BACKTRACE=0 \
		cargo test --locked --quiet -p parlor-media --test sim -- --ignored --exact sweep --nocapture

# Two nodes under kills, pauses and partitions, for longer than `make test` lets them: SECONDS (600), SEED.
history:
	@scripts/setup test
	@PARLOR_HISTORY_SECONDS=$(or $(SECONDS),600) $(if $(SEED),PARLOR_HISTORY_SEED=$(SEED)) \
		cargo test --locked --test it -- nodes::history --nocapture

# What the OpenAPI document describes against what a server answers, with more requests than `make test` makes: EXAMPLES (50), SEED.
schema:
	@scripts/setup test
	@cargo build --locked
	@SCHEMA_EXAMPLES=$(or $(EXAMPLES),50) SCHEMA_SEED=$(or $(SEED),1) tools/schema/bin/python scripts/schema.py

soak:
	@scripts/setup bench
	@scripts/web
	@cargo build --release --locked -p parlor -p parlor-loadgen
	@scripts/soak
