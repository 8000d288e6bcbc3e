// The configuration that wrangler reads: wrangler.jsonc with the settings in it. That of a deployment is found by a redirect,
// so that `wrangler` by itself uses it too.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { Failure } from "../failure.ts";
import { GENERATED, type Project, SECRETS_FILE, WORKER_FILE } from "./folder.ts";
import type { Document } from "./located.ts";
import { pinned } from "./pins.ts";
import { secretsText } from "./secrets.ts";

interface Configuration {
  main?: unknown;
  assets?: { directory?: unknown };
  vars?: Record<string, unknown>;
}

/** Writes `.valetkey/wrangler.json`, with what every deployment has, and the redirect to it. */
export function writeConfiguration(project: Project, worker: Document, variables: Record<string, string>): void {
  write(project, [GENERATED, "wrangler.json"], configurationOf(project, worker, variables, ".."));
  write(project, [".wrangler", "deploy", "config.json"], { configPath: `../../${GENERATED}/wrangler.json` });
}

/** What `valetkey dev` runs with. */
export interface DevConfiguration {
  worker: Document;
  variables: Record<string, string>;
  secrets: Record<string, string>;
}

/**
 * Writes the configuration of a `valetkey dev` on `port`, and its secrets, into a folder of its own. Returns that folder.
 *
 * Nothing that deploys reads this folder: settings for development, and secrets as variables, would go up. The secrets are in
 * a file because wrangler prints the first characters of a variable.
 */
export function writeDevConfiguration(project: Project, port: number, { worker, variables, secrets }: DevConfiguration): string {
  const names = [GENERATED, `dev-${port}`];
  removeDevConfiguration(project, port);
  write(project, [...names, "wrangler.json"], configurationOf(project, worker, variables, "../.."));
  writeFileSync(project.path(...names, SECRETS_FILE), secretsText(secrets), { mode: 0o600 });
  return project.path(...names);
}

/** Removes what `writeDevConfiguration` wrote. */
export function removeDevConfiguration(project: Project, port: number): void {
  rmSync(project.path(GENERATED, `dev-${port}`), { recursive: true, force: true });
}

/** Returns wrangler.jsonc with settings in it. `root` is the project's folder as seen from the generated file. */
function configurationOf(project: Project, worker: Document, variables: Record<string, string>, root: string): object {
  if (!project.has(WORKER_FILE)) throw new Failure(`${WORKER_FILE} is missing: restore it from git, or from a new folder that \`create\` makes.`);
  const { $schema: _, ...rest } = worker.values;
  const { main, assets, vars, ...more } = rest as Configuration;
  return pinned({
    ...more,
    main: fromGenerated(root, main, "main"),
    assets: { ...assets, directory: fromGenerated(root, assets?.directory, "assets.directory") },
    vars: { ...vars, ...variables },
  });
}

/** Returns a path of wrangler.jsonc as seen from the generated file. */
function fromGenerated(root: string, path: unknown, member: string): string {
  if (typeof path !== "string") throw new Failure(`${WORKER_FILE} has no ${member}: restore it from git, or from a new folder that \`create\` makes.`);
  return posix.join(root, path);
}

function write(project: Project, names: string[], content: unknown): void {
  mkdirSync(project.path(...names.slice(0, -1)), { recursive: true });
  writeFileSync(project.path(...names), `${JSON.stringify(content, undefined, 2)}\n`);
}
