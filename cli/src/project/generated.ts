// The configuration that wrangler reads: wrangler.jsonc with the settings in it. wrangler finds it by a redirect, so that it
// still reads the root's .dev.vars.
import { mkdirSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { Failure } from "../failure.ts";
import { GENERATED, type Project, WORKER_FILE } from "./folder.ts";
import type { Document } from "./located.ts";
import { pinned } from "./pins.ts";

interface Configuration {
  main?: unknown;
  assets?: { directory?: unknown };
  vars?: Record<string, unknown>;
}

/** Writes `.valetkey/wrangler.json`, with what every deployment has, and the redirect to it. */
export function writeConfiguration(project: Project, worker: Document, variables: Record<string, string>): void {
  if (!project.has(WORKER_FILE)) throw new Failure(`${WORKER_FILE} is missing: restore it from git, or from a new folder that \`create\` makes.`);
  const { $schema: _, ...rest } = worker.values;
  const { main, assets, vars, ...more } = rest as Configuration;
  const configuration = pinned({
    ...more,
    main: fromGenerated(main, "main"),
    assets: { ...assets, directory: fromGenerated(assets?.directory, "assets.directory") },
    vars: { ...vars, ...variables },
  });
  write(project, [GENERATED, "wrangler.json"], configuration);
  write(project, [".wrangler", "deploy", "config.json"], { configPath: `../../${GENERATED}/wrangler.json` });
}

/** Returns a path of wrangler.jsonc as seen from the generated file, which is one folder below. */
function fromGenerated(path: unknown, member: string): string {
  if (typeof path !== "string") throw new Failure(`${WORKER_FILE} has no ${member}: restore it from git, or from a new folder that \`create\` makes.`);
  return posix.join("..", path);
}

function write(project: Project, names: string[], content: unknown): void {
  mkdirSync(project.path(...names.slice(0, -1)), { recursive: true });
  writeFileSync(project.path(...names), `${JSON.stringify(content, undefined, 2)}\n`);
}
