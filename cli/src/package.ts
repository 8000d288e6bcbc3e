// The folder of this package: the built Worker, the pages and the module that checks settings are beside the tool.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root. */
export const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));

/** The package's name. */
export const PACKAGE_NAME = "create-valetkey";

interface Manifest {
  version: string;
}

/** Returns the package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")) as Manifest).version;
}

/**
 * Returns whether npm installed this package from its registry. Otherwise it came from a file, and nobody says that the
 * registry's package of this name is the same.
 */
export function isFromRegistry(): boolean {
  // npm writes the origin of every package into the lock file of its node_modules.
  const path = join(dirname(PACKAGE), ".package-lock.json");
  if (!existsSync(path)) return false;
  const lock = JSON.parse(readFileSync(path, "utf8")) as { packages?: Record<string, { resolved?: string; link?: boolean }> };
  const entry = lock.packages?.[`node_modules/${PACKAGE_NAME}`];
  if (entry === undefined || entry.link === true) return false;
  // A tarball at any other URL, such as a release's, is not the registry's package either. npm may leave out a registry's.
  return entry.resolved === undefined || new RegExp(`^https?://.*/${PACKAGE_NAME}/-/${PACKAGE_NAME}-[^/]+\\.tgz$`).test(entry.resolved);
}
