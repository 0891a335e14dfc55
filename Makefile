# Nexus: a thin front to Meson and tools/. `make help` lists what there is; each line says what it does.
SHELL := /bin/bash
.DEFAULT_GOAL := all
PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)
MESON := meson
PREFIX ?= /usr/local
DESTDIR ?=
HOURS ?= 8
ONLY ?=
SCALE ?= 1
RECORD ?=

.PHONY: all help setup setup-conformance test conformance check check-fast demo bench fuzz nightly install package clean hooks
.PHONY: release asan clang dev tsan coverage fuzz-build format

all: release ## Build build/nexus (optimised, with debug information)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## Install and build what Nexus needs, into build/deps (Debian 12; root or sudo)
	@tools/setup

# Build folders: release (what is installed and measured), dev (the same, warnings are errors),
# asan (address and undefined sanitizers; gcc then warns of what it cannot know, so not as errors), clang.
SETUP_release := --buildtype=debugoptimized
SETUP_asan := --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
SETUP_dev := --buildtype=debugoptimized -Dwerror=true
SETUP_clang := --buildtype=debugoptimized -Dwerror=true
SETUP_fuzz := --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzzers=true
SETUP_tsan := --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
SETUP_coverage := --buildtype=debug -Db_coverage=true
build/clang/build.ninja build/fuzz/build.ninja: export CC := clang-14
# Two hundred tests are linked, most of them with Wasmtime: with mold in a quarter of the time.
build/dev/build.ninja build/asan/build.ninja build/clang/build.ninja: export CC_LD := mold

build/%/build.ninja:
	@echo 'setting up build/$*'
	@test -e build/deps/lib/libwasmtime.a || { echo 'what Nexus is built on is missing; run: make setup' >&2; exit 1; }
	@$(MESON) setup build/$* $(SETUP_$*) > build/setup-$*.log 2>&1 || { cat build/setup-$*.log; rm -rf build/$*; exit 1; }

release: build/release/build.ninja
	@echo 'building build/release'
	@ninja -C build/release --quiet
	@ln -sfn release/src/app/nexus build/nexus

asan clang dev tsan coverage: %: build/%/build.ninja
	@echo 'building build/$*'
	@ninja -C build/$* --quiet

test: setup ## Install what is needed, build, run every test; the last line counts them
	@$(MAKE) --no-print-directory release asan
	@$(PYTHON) tools/run_tests.py

setup-conformance:
	@tools/setup conformance

conformance: setup-conformance ## Run the tests of others against Nexus: official SDKs, clients of NATS, their suites
	@$(MAKE) --no-print-directory release
	@$(PYTHON) tools/run_tests.py conformance conformance/nats

check: format dev asan clang ## What every commit must pass: style, layers, gcc and clang, tests under ASan
	@$(PYTHON) tools/layers.py
	@$(PYTHON) tools/tidy.py
	@$(PYTHON) tools/run_tests.py --jobs $$(($$(nproc) + 1)) --binary build/asan/src/app/nexus checkers unit integration

check-fast: format dev ## The part of check that takes seconds (the pre-commit hook; see make hooks)
	@$(PYTHON) tools/layers.py
	@$(PYTHON) tools/tidy.py
	@$(PYTHON) tools/run_tests.py --quick

format: # fails with the first places that clang-format would write otherwise
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs -r clang-format-14 --dry-run -Werror --ferror-limit=5

demo: setup ## Walk through the whole story: new, build, dev, publish, kill, replay
	@$(MAKE) --no-print-directory release
	@tools/demo

bench: setup ## Measure, and print the figures side by side
	@$(MAKE) --no-print-directory release
	@bench/run

fuzz-build: build/fuzz/build.ninja
	@ninja -C build/fuzz --quiet

fuzz: fuzz-build ## Fuzz each fuzzer for EACH=60 seconds (ONLY=<name> for one)
	@$(PYTHON) tools/fuzz.py --seconds $(or $(EACH),60) $(ONLY)

nightly: ## The long tests within HOURS=8 (ONLY=<part>,... for some, SCALE=0.01 small, RECORD=1 into docs); done parts are kept
	@$(PYTHON) tools/nightly.py --hours $(HOURS) --scale $(SCALE) $(if $(ONLY),--only $(ONLY)) $(if $(RECORD),--record)

install: release ## Install the program, its manual page and completions under PREFIX=/usr/local (DESTDIR= for packaging)
	install -D -m 755 build/release/src/app/nexus $(DESTDIR)$(PREFIX)/bin/nexus
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 bash-completion/completions zsh/vendor-completions fish/vendor_completions.d)
	build/nexus manual > $(DESTDIR)$(PREFIX)/share/man/man1/nexus.1
	build/nexus completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/nexus
	build/nexus completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_nexus
	build/nexus completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/nexus.fish

package: release ## Make build/nexus_<version>_<architecture>.deb, with the systemd service
	@tools/package

hooks: ## Run check-fast before each commit of this clone
	git config core.hooksPath tools/hooks

clean: ## Remove what was built; build/deps stays
	rm -rf build/release build/dev build/asan build/clang build/fuzz build/tsan build/coverage build/nexus
