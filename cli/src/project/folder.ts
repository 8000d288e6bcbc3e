// The folder that `create` writes, and the files in it.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Failure } from "../failure.ts";

/** The settings, which are tracked. */
export const SETTINGS_FILE = "valetkey.jsonc";
/** The secrets, which git ignores. */
export const SECRETS_FILE = ".dev.vars";
/** What the Worker is, without settings. Tracked: the "Deploy to Cloudflare" button and Workers Builds look here. */
export const WORKER_FILE = "wrangler.jsonc";
/** What this tool generates. Ignored by git. */
export const GENERATED = ".valetkey";

/** A folder with a gateway's settings. */
export class Project {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Returns the path of a file in the folder. */
  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  has(...names: string[]): boolean {
    return existsSync(this.path(...names));
  }
}

/** Returns the project of the current folder, or of the nearest folder above it. */
export function findProject(): Project {
  for (let folder = resolve("."); ; folder = dirname(folder)) {
    if (existsSync(join(folder, SETTINGS_FILE))) return new Project(folder);
    if (dirname(folder) === folder) break;
  }
  throw new Failure(`There is no ${SETTINGS_FILE} here or in a folder above: run this in the folder that \`create\` made.`);
}
