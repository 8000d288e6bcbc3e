// Finds and runs a Swift toolchain: the machine's own, or the one that tests/swift/root.sh installed into a folder.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const SWIFT_ROOT = join(ROOT, ".tools/swift-root");
/** The parts of the packages. Builds are in `.build`, which is kept between runs. */
const SOURCES = ["Package.swift", "clients/swift/Sources", "clients/swift/Tests", "tests/swift/live/Package.swift", "tests/swift/live/Sources"];

/**
 * The folder of the packages inside the installed root. The packages are copied so that no build can change the
 * checkout.
 */
const INSIDE = "/valetkey";

/** Returns the command that runs `command` in the root. The mount ends with the command. */
function inRoot(command) {
  const script = 'mount -t proc proc "$1/proc" && shift && exec chroot "$@"';
  return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", SWIFT_ROOT, SWIFT_ROOT, "env", "HOME=/root", "PATH=/usr/bin:/bin", ...command];
}

/**
 * Returns a toolchain, or undefined:
 *
 * - `place`: the folder with the packages, as seen from here
 * - `inside(path)`: a path below `place` as the toolchain's programs see it
 * - `command(program, ...args)`: what to spawn
 */
export function findToolchain() {
  // On Apple's platforms, Xcode's. Elsewhere any from 5.9 on.
  if (spawnSync("swift", ["--version"]).status === 0) {
    return { place: join(ROOT, "target/swift"), inside: (path) => path, command: (...command) => command };
  }
  if (!existsSync(join(SWIFT_ROOT, ".ready"))) return undefined;
  const place = join(SWIFT_ROOT, INSIDE);
  return { place, inside: (path) => join(INSIDE, relative(place, path)), command: (...command) => inRoot(command) };
}

/** Copies the packages to the toolchain's place. */
export function copySources({ place }) {
  for (const source of SOURCES) {
    const target = join(place, source);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(ROOT, source), target, { recursive: true, preserveTimestamps: true });
  }
}
