# Sourced by the scripts that compile what is shipped. The compiler writes the paths of sources into the messages of panics. With fixed
# names instead, the same commit gives the same bytes in every folder and for every user (`make reproduce`), and no path of the machine that
# built it is published. Of two prefixes that match, the later one counts: the home of cargo may be below this folder.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
target=${CARGO_TARGET_DIR:-$PWD/target}
# Flags are separated by the character 31, since a path may have spaces.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\037%s\037%s' \
	"--remap-path-prefix=$PWD=/valetkey" "--remap-path-prefix=$target=/valetkey/target" "--remap-path-prefix=$cargo_home=/cargo")
export CARGO_ENCODED_RUSTFLAGS
