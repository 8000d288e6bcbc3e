#!/bin/sh
# Installs Swift from Debian trixie into a separate Debian root of 3 GB, which shares nothing with the machine's own
# packages. tests/swift/toolchain.mjs runs commands in that root.
#
#   root.sh DIRECTORY
#
# If the installation is impossible, prints the reason and exits with 0 without DIRECTORY/.ready. The tests are then
# skipped with a message, or fail if CI is set.
set -eu
root=$1

skip() {
	echo "no Swift: $1"
	exit 0
}

[ "$(uname -s)" = Linux ] || skip "only Linux can have this one; install your platform's own"
[ "$(id -u)" = 0 ] || skip "only root can install it"
case $(uname -m) in x86_64 | aarch64) ;; *) skip "Debian has none for this processor" ;; esac
unshare --mount --propagation private true 2>/dev/null || skip "this machine does not permit to mount /proc in a folder"
if ! command -v debootstrap >/dev/null; then
	command -v apt-get >/dev/null || skip "there is no debootstrap"
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends debootstrap
fi

# Deletes the remains of an interrupted attempt. No mount outlives its command, so this deletes nothing else.
rm -rf --one-file-system "$root"
mkdir -p "$root"
# Installs nothing unless Debian's keys signed it.
debootstrap --force-check-gpg --variant=minbase trixie "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Skips syncing to disk, because the files need not survive a power failure.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
unshare --mount --propagation private sh -ec '
	mount -t proc proc "$1/proc"
	export DEBIAN_FRONTEND=noninteractive
	chroot "$1" apt-get update -q
	chroot "$1" apt-get install -yq --no-install-recommends swiftlang libc6-dev libstdc++-14-dev g++
	chroot "$1" apt-get clean
' sh "$root"
touch "$root/.ready"
