#!/bin/sh
# Builds the package of the last commit twice, from nothing, in two folders with paths of different lengths and two homes of cargo, and
# compares the bytes. It takes twice as long as a clean build. With KEEP=1 the folders stay.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
[ "${KEEP:-}" = 1 ] || trap 'rm -rf "$work"' EXIT
crates=${CARGO_HOME:-$HOME/.cargo}
unset CARGO_TARGET_DIR

step() { printf '%s  %s\n' "$(date +%T)" "$*" >&2; }

# Builds in the folder $1. Sources of crates and packages of npm are read from here: their lock files have the hashes.
build() {
	step "a clean build in $1"
	mkdir -p "$1/cargo-home"
	git archive HEAD | tar -x -C "$1"
	for part in registry git config.toml; do
		[ ! -e "$crates/$part" ] || ln -s "$crates/$part" "$1/cargo-home/$part"
	done
	ln -s "$root/node_modules" "$1/node_modules"
	(
		cd "$1"
		export CARGO_HOME="$1/cargo-home"
		scripts/build.sh
		scripts/build-check.sh
		node site/build.mjs
		node cli/build.mjs
		cd dist && npm pack --silent --ignore-scripts ../cli/dist
	) >&2
}

build "$work/one"
build "$work/another/folder with a longer path"
differences=0
cd "$work/one"
for file in build/index.js build/core.wasm build/check/check.cjs build/check/check_bg.wasm dist/create-valetkey-*.tgz; do
	if cmp -s "$file" "$work/another/folder with a longer path/$file"; then
		sha256sum "$file"
	else
		printf 'different: %s\n' "$file"
		differences=1
	fi
done
exit "$differences"
