# `make` lists the targets. Everything builds in the release profile, so that the C++ of torch-sys
# (minutes of work) compiles once for building, linting, testing and benchmarks.

PREFIX ?= $(HOME)/.local
SPEC ?= experiments/convergence.toml
CARGO ?= cargo
# What --quick finds means nothing and goes elsewhere.
COMPARED = $(if $(QUICK),.peers/quick,results/compare)
RUNNER = $(or $(CARGO_TARGET_DIR),target)/release/runner
export CUDA

.DEFAULT_GOAL := help
.PHONY: help setup tools build install run results test python-test minilm bench operations compare book dist clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## fetch libtorch into .libtorch (CUDA=1 or CUDA=0 forces the flavour)
	@scripts/setup.sh

build: setup ## build the runner
	$(CARGO) build --release --locked

run: build ## run one experiment: make run SPEC=experiments/convergence.toml
	$(RUNNER) $(SPEC)

results: build ## run every experiment of results/ again, from committed code (some minutes)
	scripts/results.sh $(RUNNER)

install: build ## put `runner` on the path: a link in ~/.local/bin (PREFIX=/usr/local for another place)
	mkdir -p $(PREFIX)/bin
	ln -sf $(abspath $(RUNNER)) $(PREFIX)/bin/runner
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "add $(PREFIX)/bin to your PATH" ;; esac
	$(PREFIX)/bin/runner --version

# minilm.toml is not checked: it wants what `make minilm` fetches.
# The runner that checks the experiments is the one that the tests were linked with: `cargo build`
# would compile tch and the library again, without the features that the test crates ask for.
# Clippy is the compiler of our crates here, and rustdoc documents against what it has compiled:
# `cargo clippy` and `cargo doc` would each check all dependencies first, which takes minutes.
test: export RUSTC_WORKSPACE_WRAPPER = $(abspath scripts/rustc.sh)
test: export CLIPPY_ARGS = -Dwarnings
test: export RUSTDOC = $(abspath scripts/rustdoc.sh)
test: tools ## formatting, lints, tests, benchmarks in test mode, docs, a check of every experiment, the Python package
	@scripts/prepare_tests.sh
	$(CARGO) fmt --all --check
	scripts/test.sh --release --locked --workspace
	$(RUNNER) check $(filter-out experiments/minilm.toml,$(wildcard experiments/*.toml))
	scripts/python_test.sh $(RUNNER)
	@echo "make test: all checks passed"

python-test: build ## the Python package: its wheel in an environment of its own, and pytest
	scripts/python_test.sh $(RUNNER)

tools:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy

minilm: setup ## fetch the sentence encoder of experiments/minilm.toml, and train its probe
	scripts/minilm.sh

bench: setup ## measure; writes the criterion report and results/sizes
	$(CARGO) bench --locked
	python3 benches/curvature/sizes.py $(or $(CARGO_TARGET_DIR),target)/criterion results/sizes/sizes.csv

OPERATIONS ?= $(wildcard benches/operations/*.toml) experiments/resnet18.toml experiments/gpt.toml
operations: setup ## where the time of products goes, layer by layer: make operations [OPERATIONS=SPEC]
	$(CARGO) run --release --locked --example operations -- $(OPERATIONS)

compare: setup ## our work beside other people's libraries: make compare [PROBLEMS="mlp_example cnn"] [QUICK=1] [LEAVE_OUT="'jax/*/block'"]
	benches/peers/setup.sh
	$(CARGO) build --release --locked --examples
	.peers/bin/python benches/peers/make_problems.py .peers/problems $(PROBLEMS)
	.peers/bin/python benches/peers/compare.py --ours $(dir $(RUNNER))examples/ours --problems .peers/problems \
		--out $(COMPARED) $(if $(PROBLEMS),--only $(PROBLEMS)) $(if $(QUICK),--quick) \
		$(if $(LEAVE_OUT),--leave-out $(LEAVE_OUT))
	$(dir $(RUNNER))examples/compare_figures $(COMPARED)
	$(if $(QUICK),,python3 scripts/refresh_docs.py)

book: ## the documentation as a site in target/book (needs mdbook: cargo install mdbook)
	mdbook build docs

dist: build ## a release archive in dist/, for machines that have libtorch or PyTorch
	scripts/dist.sh $(RUNNER)

clean: ## remove what cargo built
	$(CARGO) clean

distclean: clean ## and libtorch
	rm -rf .libtorch .libtorch.tmp
