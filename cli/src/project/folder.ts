// The folder that `create` writes, and the files in it.
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { PACKAGE } from "../package.ts";

/** The settings, which are tracked. */
export const SETTINGS_FILE = "valetkey.jsonc";
/** The secrets, which git ignores. */
export const SECRETS_FILE = ".dev.vars";
/** What the Worker is, without settings. Tracked: the "Deploy to Cloudflare" button and Workers Builds look here. */
export const WORKER_FILE = "wrangler.jsonc";
/** What an editor completes and explains the settings with. Tracked, and a copy of the package's. */
export const SCHEMA_FILE = "valetkey.schema.json";
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

/** Copies the package's schema into the folder. */
export function copySchema(project: Project): void {
  copyFileSync(join(PACKAGE, SCHEMA_FILE), project.path(SCHEMA_FILE));
}

/** After an upgrade of the package, an editor must know the same members as `check`. A folder without the file stays so. */
export function refreshSchema(project: Project): void {
  if (!project.has(SCHEMA_FILE)) return;
  const [mine, theirs] = [project.path(SCHEMA_FILE), join(PACKAGE, SCHEMA_FILE)].map((path) => readFileSync(path, "utf8"));
  if (mine === theirs) return;
  copySchema(project);
  console.error(`${SCHEMA_FILE} is now that of the installed version: commit it.`);
}
