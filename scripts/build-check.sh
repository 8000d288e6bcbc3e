#!/bin/sh
# Builds the Worker's parser of settings as a module for Node: build/check/check.cjs and check_bg.wasm. As in build.sh,
# nothing edits what the tools make.
set -eu
cd "$(dirname "$0")/.."
. scripts/paths.sh
bindings=target/bindings-check
out=build/check

step() { printf '%s  %s\n' "$(date +%T)" "$*" >&2; }

step "1/3 cargo: the parser of settings"
# A profile of its own: the Worker's build leaves its module in the same place of its folder.
cargo build --profile check-module --package valetkey-check --lib --target wasm32-unknown-unknown

step "2/3 wasm-bindgen: its JavaScript bindings"
"${WASM_BINDGEN_BIN:-wasm-bindgen}" target/wasm32-unknown-unknown/check-module/valetkey_check.wasm \
	--target nodejs --no-typescript --out-name check --out-dir "$bindings"

step "3/3 wasm-opt: smaller"
mkdir -p "$out"
# build.sh has the reasons of the features that are named.
"${WASM_OPT_BIN:-wasm-opt}" "$bindings/check_bg.wasm" -o "$out/check_bg.wasm" --strip-debug --strip-producers -Os \
	--enable-bulk-memory --enable-bulk-memory-opt --enable-call-indirect-overlong --enable-multivalue \
	--enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext
# `.cjs`: the bindings are CommonJS, whatever the package around them says.
cp "$bindings/check.js" "$out/check.cjs"
step "built $out"
