# `make` lists the targets. Everything builds in the release profile, so that the C++ of torch-sys
# (minutes of work) compiles once for building, linting, testing and benchmarks.

PREFIX ?= $(HOME)/.local
SPEC ?= experiments/convergence.toml
CARGO ?= cargo
RUNNER = $(or $(CARGO_TARGET_DIR),target)/release/runner
export CUDA

.DEFAULT_GOAL := help
.PHONY: help setup tools build install run test bench compare clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## fetch libtorch into .libtorch (CUDA=1 or CUDA=0 forces the flavour)
	@scripts/setup.sh

build: setup ## build the runner
	$(CARGO) build --release --locked

run: build ## run one experiment: make run SPEC=experiments/convergence.toml
	$(RUNNER) $(SPEC)

install: build ## put `runner` on the path: a link in ~/.local/bin (PREFIX=/usr/local for another place)
	mkdir -p $(PREFIX)/bin
	ln -sf $(abspath $(RUNNER)) $(PREFIX)/bin/runner
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "add $(PREFIX)/bin to your PATH" ;; esac
	$(PREFIX)/bin/runner --version

test: setup tools ## formatting, lints, tests, benchmarks in test mode, docs, and a check of every experiment
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --all-targets --locked -- -D warnings
	$(CARGO) test --release --locked
	$(CARGO) bench --locked -- --test
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps --locked
	$(CARGO) build --release --locked
	$(RUNNER) check experiments/*.toml
	@echo "make test: all checks passed"

tools:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy

bench: setup ## measure; writes the criterion report and results/sizes
	$(CARGO) bench --locked
	python3 benches/curvature/sizes.py $(or $(CARGO_TARGET_DIR),target)/criterion results/sizes/sizes.csv

compare: build ## the same work in other people's libraries, alternating with ours; writes results/compare
	benches/peers/setup.sh
	$(CARGO) build --release --locked --examples
	.peers/bin/python benches/peers/make_problems.py .peers/problems
	.peers/bin/python benches/peers/compare.py --ours target/release/examples/ours \
		--problems .peers/problems --out results/compare
	target/release/examples/compare_figures results/compare

clean: ## remove what cargo built
	$(CARGO) clean

distclean: clean ## and libtorch
	rm -rf .libtorch .libtorch.tmp
