// Everything that is wrong with a project's settings, each with its file, line and column.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE } from "../package.ts";
import { newSigningKeys, newVendorKey, newWebhookSecret } from "./keys.ts";
import { type Project, SECRETS_FILE, SETTINGS_FILE, WORKER_FILE } from "./folder.ts";
import { Document, type Problem } from "./located.ts";
import { type ParserProblem, parserProblems } from "./parser.ts";
import { pinProblems } from "./pins.ts";
import { issuerSecrets, newSecret, readSecrets, SECRET_SETTINGS } from "./secrets.ts";
import { platformProblems, variablesOf } from "./variables.ts";

/** A host that nobody has: settings that work only on a loopback host are wrong there. */
const PUBLIC_HOST = "deployment.example";

export interface CheckOptions {
  /** What the settings are for. On a public host, settings for development are wrong. */
  for: "deploy" | "dev";
  /** Settings that replace those of the file. */
  changes?: Record<string, unknown>;
  /** Secrets that are used where there is no other. */
  standIns?: Record<string, string>;
}

export interface Checked {
  /** wrangler.jsonc. */
  worker: Document;
  /** The settings as values, and as the Worker's variables. */
  values: Record<string, unknown>;
  variables: Record<string, string>;
  /** The secrets that are set here. */
  secrets: Record<string, string>;
  /** Names of secrets that are not set here, and were checked with a stand-in. */
  unchecked: string[];
  problems: Problem[];
}

/** Reads and checks a project's settings. */
export function checkProject(project: Project, options: CheckOptions): Checked {
  const settings = new Document(SETTINGS_FILE, readFileSync(project.path(SETTINGS_FILE), "utf8"));
  const worker = new Document(WORKER_FILE, readWorkerFile(project));
  const values = { ...settings.values, ...options.changes };
  const variables = variablesOf(values);
  const names = [...SECRET_SETTINGS, ...issuerSecrets(values["ISSUERS"])];
  const secrets = { ...options.standIns, ...readSecrets(project, names) };
  const checked = { worker, values, variables, secrets, unchecked: [] as string[], problems: [...settings.problems, ...worker.problems] };
  // Settings that cannot be read are not checked further.
  if (checked.problems.length > 0) return checked;
  const standIns = process.env["CI"] ? standInsFor(names.filter((name) => isNeeded(name, variables) && !Object.hasOwn(secrets, name))) : {};
  checked.unchecked = Object.keys(standIns);
  checked.problems.push(
    ...unknownSettings(settings),
    ...parsedProblems(settings, secretLines(project), { ...variables, ...secrets, ...standIns }, options.for),
    ...pinProblems(worker),
    ...platformProblems(settings, worker, variables, { ...secrets, ...standIns }),
  );
  checked.problems.sort((one, other) => one.file.localeCompare(other.file) || one.line - other.line || one.column - other.column);
  return checked;
}

function readWorkerFile(project: Project): string {
  return project.has(WORKER_FILE) ? readFileSync(project.path(WORKER_FILE), "utf8") : "{}";
}

/** The settings that need a secret. The vendor's key is always needed, and so is what an issuer names; the others turn something on. */
const NEEDED_BY: Record<string, string> = {
  TOKEN_SIGNING_KEYS: "TURNSTILE_SITE_KEY",
  TURNSTILE_SECRET: "TURNSTILE_SITE_KEY",
  ALERT_WEBHOOK_SECRET: "ALERT_WEBHOOK_URL",
  EVENTS_WEBHOOK_SECRET: "EVENTS_WEBHOOK_URL",
};

function isNeeded(name: string, variables: Record<string, string>): boolean {
  const setting = NEEDED_BY[name];
  return name === "DEEPCREATIVE_API_KEY" || !SECRET_SETTINGS.includes(name) || (setting !== undefined && Object.hasOwn(variables, setting));
}

/** Returns valid secrets that nobody uses. */
function standInsFor(names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, standInFor(name)]));
}

function standInFor(name: string): string {
  if (name === "DEEPCREATIVE_API_KEY") return newVendorKey();
  if (name === "TOKEN_SIGNING_KEYS") return newSigningKeys();
  return name.endsWith("_WEBHOOK_SECRET") ? newWebhookSecret() : newSecret();
}

interface Schema {
  properties: Record<string, unknown>;
}

function unknownSettings(settings: Document): Problem[] {
  const { properties } = JSON.parse(readFileSync(join(PACKAGE, "valetkey.schema.json"), "utf8")) as Schema;
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(settings.values)) {
    if (SECRET_SETTINGS.includes(name) || issuerSecrets(settings.values["ISSUERS"]).includes(name)) {
      problems.push(settings.problem([name], `${name} is a secret, and this file is not: put it into ${SECRETS_FILE}`));
    } else if (!Object.hasOwn(properties, name)) {
      const known = Object.keys(properties).filter((known) => known !== "$schema");
      problems.push(settings.problem([name], `this is not a setting; known are ${known.join(", ")}`));
    } else if (typeof value === "object" && !["ISSUERS", "POLICY", "ALLOWED_ORIGINS"].includes(name)) {
      problems.push(settings.problem([name], `${name}: is not text in quotes`));
    }
  }
  return problems;
}

function parsedProblems(
  settings: Document,
  lines: Map<string, number>,
  bindings: Record<string, string>,
  purpose: "deploy" | "dev",
): Problem[] {
  const host = purpose === "deploy" ? PUBLIC_HOST : null;
  return parserProblems(bindings, host).map(({ name, problem, at }: ParserProblem) => {
    const line = lines.get(name);
    const isSecret = SECRET_SETTINGS.includes(name);
    const advice = isSecret && problem === "is missing" ? `: put it into ${SECRETS_FILE}` : "";
    const text = `${name}: ${problem}${advice}`;
    if (isSecret) return { file: SECRETS_FILE, line: line ?? 1, column: 1, text };
    return settings.problem([name, ...at], text);
  });
}

/** Returns the line of each name in .dev.vars. */
function secretLines(project: Project): Map<string, number> {
  const path = project.path(SECRETS_FILE);
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  return new Map(lines.map((line, index) => [/^\s*(?:export\s+)?([A-Z0-9_]+)\s*=/.exec(line)?.[1] ?? "", index + 1]));
}

