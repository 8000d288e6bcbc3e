# The two commands are `make dev` and `make test`; each sets up what it needs.
#
# A fresh machine has rustup, Node >= 20 and make. Everything else comes from here, at pinned versions: the toolchain
# and its wasm target from rust-toolchain.toml, wasm-bindgen and cargo-deny from cargo, the rest from npm.

# Must equal the wasm-bindgen crate in Cargo.lock.
WASM_BINDGEN_VERSION := 0.2.129
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_MUTANTS_VERSION := 27.1.0
# Gzipped kilobytes that the deployed Worker may have: a guard against accidents. The platform allows 3 MB.
SIZE_CAP_KB := 760

PORT ?= 8787
SIM_PORT ?= 8788
CONTROL_PORT ?= 8789
SUB ?= alice

TOOLS := $(CURDIR)/.tools
# A new enough Node for wrangler, from npm, where the machine's is older.
NODE := $(CURDIR)/node_modules/.bin/node
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export WASM_BINDGEN_BIN := $(TOOLS)/bin/wasm-bindgen
export WASM_OPT_BIN := $(CURDIR)/node_modules/.bin/wasm-opt
export ESBUILD_BIN := $(CURDIR)/node_modules/.bin/esbuild
export WRANGLER_SEND_METRICS := false
export SIMULATOR_BIN := $(CURDIR)/target/debug/valetkey-simulator

RUST_SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock rust-toolchain.toml
CLIENT_SOURCES := $(shell find clients/web/src -type f) $(wildcard clients/web/*.json clients/web/*.mjs)
CLI_SOURCES := $(shell find cli/src cli/bin -type f) $(wildcard cli/*.json cli/*.mjs cli/*.md)
TEST_ENTRY := $(wildcard tests/shipped/*.js)
SITE_SOURCES := docs/openapi.json $(shell find site clients/web/src -type f 2>/dev/null)

.PHONY: dev test quick build site token deploy-check lint fmt fuzz mutants bench starts timing capacity advisories go chromium clean help
.PHONY: fmt-check clippy deny test-rust test-workspace test-model test-fuzz test-differential test-shipped test-core test-api-quick quick-builds
.PHONY: fixture test-js test-openapi test-clients test-kotlin test-swift test-browser test-migration test-examples test-next
.DEFAULT_GOAL := help

help:
	@echo "make dev           everything, running here, with a demo page"
	@echo "make test          every test, about half an hour"
	@echo "make quick         what a commit needs: formatting, clippy, core tests, the API tests that matter most"
	@echo "make token SUB=al  a token for the running make dev"
	@echo "make operator-token  a token for its operator's page, /admin/"
	@echo "make build         the release Worker in build/"
	@echo "make client        the TypeScript client in clients/web/dist/"
	@echo "make bundle        the package create-valetkey in dist/, for users without Rust"
	@echo "make deploy-check  a dry run of the deployment, and its size"
	@echo "make deploy        deploys in a pause; make secret NAME=X for its secrets"
	@echo "make rollback      goes back to the version before; VERSION, FLAGS=--with-old-secrets"
	@echo "make rotate        replaces the vendor's key; STEP=begin, status or finish"
	@echo "make status        the state of the deployment"
	@echo "make sbom          what is shipped, in dist/valetkey.cdx.json (CycloneDX); make third-party for its licenses"
	@echo "make reproduce     two clean builds of the last commit, compared byte by byte"
	@echo "make lint          formatting, clippy, licenses and sources of dependencies"
	@echo "make advisories    known vulnerabilities of dependencies, where RustSec's database can be fetched"
	@echo "make fuzz          every parser of hostile input, for minutes; FUZZ_SECONDS, FUZZ_TARGETS"
	@echo "make mutants       which mistakes in limits, policy and tokens no test would notice; ONLY=src/limit for a part"
	@echo "make bench         requests a second, beside its peers; how soon a client is told"
	@echo "make starts        starts a second of one Dispatcher, by the vendor's response time"
	@echo "make timing        what the time of a 401 tells"
	@echo "make capacity      simulated days of one key"
	@echo "make fixture       stored objects for later builds to open; NAME, BUILD"

# Prints the time and the name of a step, as scripts/build.sh does.
step = @printf '%s  %s\n' "$$(date +%T)" "$(1)" >&2

# --- set-up -------------------------------------------------------------------------------------------------------

node_modules/.package-lock.json: package.json package-lock.json
	$(call step,npm: the packages of package-lock.json)
	@# Without warnings: they are about the machine's Node, which does not run these packages.
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# $(1) is the package, $(2) its version. `--locked` builds a tool from the versions that its authors published it with.
# Unoptimized: the tools run for seconds, and an optimized build takes minutes. The stamps of other versions go, since
# bin/ holds one version of a tool.
define cargo_tool
	$(call step,cargo: $(1) $(2))
	@CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
		cargo install $(1) --version $(2) --locked --root $(TOOLS)
	@rm -f $(@:-$(2)=)-* && touch $@
endef

$(TOOLS)/wasm-bindgen-$(WASM_BINDGEN_VERSION):
	$(call cargo_tool,wasm-bindgen-cli,$(WASM_BINDGEN_VERSION))

$(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION):
	$(call cargo_tool,cargo-deny,$(CARGO_DENY_VERSION))

$(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION):
	$(call cargo_tool,cargo-fuzz,$(CARGO_FUZZ_VERSION))

$(TOOLS)/cargo-mutants-$(CARGO_MUTANTS_VERSION):
	$(call cargo_tool,cargo-mutants,$(CARGO_MUTANTS_VERSION))

# rustup brings what rust-toolchain.toml names only where the toolchain itself was missing.
.PHONY: wasm-target lint-components
wasm-target:
	rustup target add wasm32-unknown-unknown

lint-components:
	rustup component add clippy rustfmt

BUILD_TOOLS := node_modules/.package-lock.json $(TOOLS)/wasm-bindgen-$(WASM_BINDGEN_VERSION)

# --- building -----------------------------------------------------------------------------------------------------

build: build/index.js site

build/index.js: $(BUILD_TOOLS) $(RUST_SOURCES) scripts/build.sh scripts/paths.sh | wasm-target
	@scripts/build.sh
	@touch $@

# A second Worker for tests, with what the shipped one lacks: panics on request, and vectors that no request can carry.
# After the first: both builds leave their module in the same place of target/.
build/test/index.js: $(BUILD_TOOLS) $(RUST_SOURCES) scripts/build.sh scripts/paths.sh $(TEST_ENTRY) | wasm-target build/index.js
	@scripts/build.sh test-exports tests/shipped/entry.js build/test
	@touch $@

# The Worker's parser of settings, for Node: the command-line tool checks settings with it. After the Worker, so that two
# linkers do not compete.
build/check/check.cjs: $(BUILD_TOOLS) $(RUST_SOURCES) $(shell find check -type f) scripts/build-check.sh scripts/paths.sh | wasm-target build/index.js
	@scripts/build-check.sh
	@touch $@

# The package that a user without Rust runs: the tool, the Worker and the pages in dist/create-valetkey-VERSION.tgz.
.PHONY: bundle
bundle: dist/.bundled

dist/.bundled: build/index.js build/check/check.cjs dist/site/.built $(CLI_SOURCES) $(CLIENT_SOURCES) LICENSE THIRD_PARTY.txt
	$(call step,cli: create-valetkey)
	@$(NODE) node_modules/typescript/bin/tsc --project cli
	@$(NODE) cli/build.mjs
	@rm -f dist/create-valetkey-*.tgz && cd dist && npm pack --silent --ignore-scripts ../cli/dist
	@touch $@

# After a change of what is shipped: of Cargo.lock, package-lock.json, or what a page or the tool imports.
.PHONY: sbom third-party reproduce
sbom: node_modules/.package-lock.json
	$(NODE) scripts/sbom.mjs

third-party: node_modules/.package-lock.json
	$(NODE) scripts/third-party.mjs

# Not part of CI, where it would double the time of the build: run it before a release.
reproduce: $(BUILD_TOOLS) | wasm-target
	@scripts/reproduce.sh

site: dist/site/.built

dist/site/.built: node_modules/.package-lock.json $(SITE_SOURCES)
	$(call step,site: the pages)
	@$(NODE) site/build.mjs
	@touch $@

# The TypeScript client, and its size.
.PHONY: client client-types
client: clients/web/dist/valetkey.min.js

clients/web/dist/valetkey.min.js: node_modules/.package-lock.json $(CLIENT_SOURCES)
	$(NODE) clients/web/build.mjs

# After a change of docs/openapi.json.
client-types: node_modules/.package-lock.json
	$(NODE) scripts/client-types.mjs

# After a change of cli/valetkey.schema.json.
.PHONY: settings-page
settings-page: node_modules/.package-lock.json
	$(NODE) scripts/settings-page.mjs

.PHONY: simulator
simulator:
	$(call step,cargo: the simulator)
	@# `nice`: beside the Worker's build, which takes longer, it uses the time that the other leaves.
	@nice cargo build --package valetkey-simulator

# --- running ------------------------------------------------------------------------------------------------------

# Two targets at a time: npm waits for the network, and the Worker's linker uses one core. Shows steps and errors, and not
# each crate. rustc comes first: where the toolchain is missing, rustup installs it, and two at once would collide.
dev:
	$(call step,rustup: the toolchain of rust-toolchain.toml)
	@rustc --version
	@CARGO_TERM_QUIET=true $(MAKE) --no-print-directory -j2 build simulator
	@PORT=$(PORT) SIM_PORT=$(SIM_PORT) CONTROL_PORT=$(CONTROL_PORT) $(NODE) scripts/dev.mjs

token: node_modules/.package-lock.json
	@SIM_PORT=$(SIM_PORT) $(NODE) scripts/token.mjs "$(SUB)"

.PHONY: operator-token
operator-token: node_modules/.package-lock.json
	@$(NODE) scripts/operator-token.mjs

deploy-check: build
	$(NODE) scripts/deploy-check.mjs $(SIZE_CAP_KB)

# wrangler with the Node that it needs: `make deploy`, `make secret NAME=DEEPCREATIVE_API_KEY`.
WRANGLER := $(NODE) node_modules/wrangler/bin/wrangler.js

.PHONY: deploy rollback rotate status secret
deploy: build build/check/check.cjs
	@$(NODE) scripts/check-settings.mjs
	@$(NODE) scripts/operate.mjs deploy $(FLAGS)

rollback status: node_modules/.package-lock.json
	@$(NODE) scripts/operate.mjs $@ $(VERSION) $(FLAGS)

rotate: build/check/check.cjs
	@$(NODE) scripts/operate.mjs rotate $(STEP) $(FLAGS)

secret: node_modules/.package-lock.json
	$(WRANGLER) secret put $(NAME)

bench: build
	$(NODE) tests/load/bench.mjs
	$(NODE) tests/load/notice.mjs

# The figures of docs/architecture.md, "A Dispatcher's ceiling".
starts: build simulator
	$(NODE) tests/load/starts.mjs

# The figures of docs/identity.md, "What the time of a refusal tells".
timing: build
	$(NODE) tests/load/timing.mjs

# The table of docs/capacity.md.
capacity:
	cargo test --profile model --test model a_day -- --ignored --nocapture

# --- checking -----------------------------------------------------------------------------------------------------

# The stages of `make test`, in this order. CI=true makes a skipped test an error.
STAGES := build simulator client test-workspace test-model test-fuzz test-differential test-js test-openapi test-clients \
	test-cli test-kotlin test-swift test-browser test-migration test-examples test-next deploy-check

QUICK_STAGES := fmt-check quick-builds test-api-quick

test:
	@MAKE="$(MAKE)" node scripts/stages.mjs test $(STAGES)

quick:
	@MAKE="$(MAKE)" node scripts/stages.mjs quick $(QUICK_STAGES)

# The model of Dispatcher and Ledgers tries 100,000 interleavings, optimized; the workspace's run a few.
MODEL_CASES ?= 100000

# The committed tree chooses the cases: a change runs others than the one before, and the same ones here and in CI. make
# prints the seed; `make test-model MODEL_SEED=…` chooses another.
MODEL_SEED ?= $(or $(shell git rev-parse 'HEAD^{tree}' 2>/dev/null | tr -dc 0-9 | cut -c1-9),1)

# So many changed seeds for each fuzz target, optimized; the workspace's run has 200.
FUZZ_CASES ?= 40000

# Tokens that Valetkey, jose and PyJWT are asked about, optimized; the workspace's run makes 2,000.
DIFFERENTIAL_TOKENS ?= 100000

# PyJWT for that, and for the test of docs/identity.md's code; schemathesis for docs/openapi.json; requests for programs in
# Python. Without a python3 that can make environments the tests say that they skip, and fail where CI is set.
$(TOOLS)/python/.ready: tests/requirements.txt
	@if ! python3 -c "import ensurepip" 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -yq --no-install-recommends python3-venv; fi
	@if python3 -c "import ensurepip" 2>/dev/null; then \
		python3 -m venv $(TOOLS)/python && $(TOOLS)/python/bin/pip install --quiet --requirement $< && touch $@; fi

# Go for the same test, from Debian's packages: 80 MB to fetch, 450 MB on disk, so `make test` installs it for CI alone.
# Elsewhere any Go from 1.18 on counts.
go:
	@if ! command -v go >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -yq --no-install-recommends golang-go; fi

# Tests on workerd wait more than they compute: three for each core.
export RUST_TEST_THREADS ?= 6

test-rust: test-workspace test-model test-fuzz test-differential

test-workspace: build build/test/index.js simulator $(TOOLS)/python/.ready $(if $(CI),go)
	cargo test --workspace

# A failing case says more than a backtrace, and is not to be crowded out by one.
test-model:
	RUST_BACKTRACE=0 MODEL_CASES=$(MODEL_CASES) PROPTEST_RNG_SEED=$(MODEL_SEED) cargo test --profile model --test model

test-fuzz:
	FUZZ_CASES=$(FUZZ_CASES) cargo test --profile model --package valetkey-fuzz --bins

test-differential: node_modules/.package-lock.json $(TOOLS)/python/.ready
	DIFFERENTIAL_TOKENS=$(DIFFERENTIAL_TOKENS) cargo test --profile model --test differential -- --nocapture

# The part of test-workspace that shows hostile tokens, keys, vectors and panics to the shipped bytes on workerd.
test-shipped: build build/test/index.js simulator
	cargo test --test api -- hostile_keys:: hostile_tokens:: signature_vectors:: panic

# Stores objects as the Worker in the folder BUILD does, for later builds to open (tests/fixtures/objects/README.md).
fixture: simulator
	FIXTURE=$(NAME) BUILD=$(or $(BUILD),$(CURDIR)/build) cargo test --test api -- --ignored fixtures::make

# The unit tests, and the model with few cases.
test-core:
	cargo test --lib --test core --test model

# Modules of tests/api: who may do what, what is counted and paid, what must stay secret. Without the tests that wait for a
# minute of a limit, or for an isolate to ask again.
QUICK_API := proofs creates idempotency limits lifecycle secrecy revocation tokens hostile_tokens hostile_http errors cors
QUICK_API_SKIP := no_minute_holds_more an_occasional_client another_isolate_learns

test-api-quick: build simulator
	cargo test --test api -- $(QUICK_API:=::) $(QUICK_API_SKIP:%=--skip %)

# Side by side, since most of the build is a linker on one core.
quick-builds:
	@$(MAKE) --no-print-directory -j2 build clippy test-core

test-js: client
	$(NODE) --test "tests/js/*.test.mjs" "clients/web/tests/*.test.mjs"

# clients/web in Node, Deno and Chromium, against the Worker on workerd.
test-clients: build simulator client chromium
	$(NODE) --test "tests/clients/*.test.mjs"

# The packed tool on a machine without Rust: from nothing to a picture, what `check` finds, and types that do not compile.
test-cli: bundle client simulator
	$(NODE) --test "tests/cli/*.test.mjs"

# clients/kotlin, compiled by npm's compiler on the machine's Java. Without Java the test says that it skips, and fails where CI is set.
test-kotlin: build simulator
	$(NODE) tests/kotlin/run.mjs

# Swift for the next target, where the machine has none: Debian trixie's, in a folder of its own. 650 MB to fetch, 3 GB on disk.
$(TOOLS)/swift-root/.ready: tests/swift/root.sh
	$(call step,debootstrap: Swift of Debian trixie in .tools/swift-root)
	@tests/swift/root.sh $(@D)

# clients/swift, compiled and run on this machine. Without Swift the test says that it skips, and fails where CI is set.
test-swift: build simulator $(if $(shell command -v swift 2>/dev/null),,$(TOOLS)/swift-root/.ready)
	$(NODE) tests/swift/run.mjs

# docs/openapi.json against the built Worker: 10,000 requests by schemathesis, good and bad ones.
test-openapi: build simulator $(TOOLS)/python/.ready
	$(NODE) tests/openapi/run.mjs

# libFuzzer on each target, one after the other. What it finds is in fuzz/artifacts; what it learned stays in fuzz/corpus.
# `--release` leaves the profile to fuzz/.cargo/config.toml; sanitizers need a nightly compiler, and there is no unsafe code.
FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/src/bin/*.rs)))

fuzz: $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)
	@set -e; cd fuzz; for target in $(FUZZ_TARGETS); do \
		mkdir -p corpus/$$target; \
		$(TOOLS)/bin/cargo-fuzz run --fuzz-dir . --release --sanitizer none $$target corpus/$$target seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 -print_final_stats=1; \
	done

# Chromium comes from Debian's packages; elsewhere set CHROMIUM_BIN. Without one the browser test says that it skips,
# and fails where CI is set.
chromium:
	@if [ -z "$$CHROMIUM_BIN" ] && ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -yq --no-install-recommends chromium fonts-dejavu-core; fi

test-browser: build simulator chromium
	$(NODE) node_modules/typescript/bin/tsc --project site
	$(NODE) tests/browser/run.mjs

# Programs that were written for the vendor, with two lines changed; the examples. Both use the machine's curl or Python, the pages Chromium.
test-migration: build simulator $(TOOLS)/python/.ready
	$(NODE) tests/migration/run.mjs

test-examples: build simulator client chromium $(TOOLS)/python/.ready
	$(NODE) tests/examples/run.mjs

# The example with Next, which has its own lock file: 370 MB on disk. `valetkey` is copied into it, so a new build is installed anew.
examples/next/node_modules/.package-lock.json: examples/next/package-lock.json clients/web/dist/valetkey.min.js
	$(call step,npm: the packages of examples/next)
	@cd examples/next && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test-next: build simulator client chromium examples/next/node_modules/.package-lock.json
	$(NODE) tests/examples/run.mjs next

# Two hours: .cargo/mutants.toml says what is changed and which tests run. Random cases are few and always the same, so that
# two runs say the same. Survivors (2) and timeouts (3) are results and no failure; target/mutants.out has them.
mutants: $(TOOLS)/cargo-mutants-$(CARGO_MUTANTS_VERSION)
	@mkdir -p target
	CARGO_TARGET_DIR=$(CURDIR)/target PROPTEST_CASES=32 PROPTEST_RNG_SEED=1 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 \
		$(TOOLS)/bin/cargo-mutants mutants --output target $(if $(ONLY),--re '$(ONLY)') \
		|| case $$? in 2|3) ;; *) exit 1 ;; esac

lint: fmt-check clippy deny

fmt-check: lint-components
	cargo fmt --all --check

clippy: wasm-target lint-components
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package valetkey --lib --target wasm32-unknown-unknown -- -D warnings

deny: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)
	$(TOOLS)/bin/cargo-deny --locked check bans licenses sources

# Not part of CI: its result changes without a change here, and the database is on a code host that CI may not reach.
# deny.toml has the exceptions and their reasons.
advisories: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)
	@if $(TOOLS)/bin/cargo-deny --locked fetch db; then \
		$(TOOLS)/bin/cargo-deny --locked check advisories; \
	else echo "skipped: make advisories: RustSec's database could not be fetched. Nothing was checked."; fi

fmt: lint-components
	cargo fmt --all

clean:
	rm -rf build dist target
