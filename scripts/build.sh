#!/bin/sh
# Builds the Worker: build/index.js and build/core.wasm. It runs four commands; nothing edits their output.
#
#   scripts/build.sh [cargo features] [entry module] [output folder]
#
# Tests build a second Worker with the feature `test-exports` and an entry of their own.
set -eu
cd "$(dirname "$0")/.."
. scripts/paths.sh
features=${1:-}
entry=${2:-src/cloudflare/entry.js}
out=${3:-build}
# The core imports JavaScript by paths relative to this folder (runtime/platform.rs), which is two levels below the
# root.
bindings=target/bindings${features:+-$features}

step() { printf '%s  %s\n' "$(date +%T)" "$*" >&2; }

step "1/4 cargo: the core, optimized for size"
cargo build --release --lib --target wasm32-unknown-unknown --features "$features"

step "2/4 wasm-bindgen: its JavaScript bindings"
"${WASM_BINDGEN_BIN:-wasm-bindgen}" target/wasm32-unknown-unknown/release/valetkey.wasm \
	--target web --omit-default-module-path --no-typescript --out-name core --out-dir "$bindings" \
	--experimental-reset-state-function --force-enable-abort-handler

step "3/4 wasm-opt: smaller"
mkdir -p "$out"
# The flags `--enable-…` name the WebAssembly features that Rust's target enables and that both workerd and Node run,
# and `exception-handling` for the abort handler. `--all-features` would write an import section that no version of Node
# loads. KEEP_NAMES=1 keeps function names for a profile. `--low-memory-unused` is safe: addresses below 1,024 are the
# end of the stack, which grows down to 0, so no object lies there. `--one-caller-inline-max-function-size=1`: by default
# every function with one caller is merged into it, whatever its size. Functions of 90 KB with hundreds of local variables
# compress badly: 45 KB more, gzipped. The compiler has already inlined what is faster inlined.
names="--strip-debug --strip-producers"
[ "${KEEP_NAMES:-}" = 1 ] && names="--debuginfo"
# shellcheck disable=SC2086 # two words
"${WASM_OPT_BIN:-wasm-opt}" "$bindings/core_bg.wasm" -o "$out/core.wasm" $names --low-memory-unused -Os --gufa -Os \
	--one-caller-inline-max-function-size=1 \
	--enable-bulk-memory --enable-bulk-memory-opt --enable-call-indirect-overlong --enable-multivalue \
	--enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext \
	--enable-exception-handling

step "4/4 esbuild: one module"
# wasm-bindgen lists the imports of a module once for each block of Rust that names it: the same key, the same module.
"${ESBUILD_BIN:-esbuild}" "$entry" --bundle --format=esm --minify --log-level=warning --log-override:duplicate-object-key=silent \
	--alias:valetkey-core="./$bindings/core.js" --external:./core.wasm --outfile="$out/index.js"
step "built $out"
