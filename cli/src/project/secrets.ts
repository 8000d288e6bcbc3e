// Secrets: in .dev.vars, or in the environment where there is no such file. They are never printed.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { Failure } from "../failure.ts";
import { type Project, SECRETS_FILE } from "./folder.ts";

/** The secrets that the Worker itself names. An entry of ISSUERS may name others. */
export const SECRET_SETTINGS = ["DEEPCREATIVE_API_KEY", "DEEPCREATIVE_API_KEY_NEXT", "TOKEN_SIGNING_KEYS", "TURNSTILE_SECRET", "ALERT_WEBHOOK_SECRET", "EVENTS_WEBHOOK_SECRET"];

/** The secret of the issuer `valetkey-cli`, whose tokens `token` and `picture` sign. */
export const CLI_SECRET = "VALETKEY_CLI_SECRET";

/** The secret of the issuer `valetkey-operator`, whose tokens `deploy`, `rollback`, `rotate`, `status` and `token --operator` sign. */
export const OPERATOR_SECRET = "VALETKEY_OPERATOR_SECRET";

/** Returns a new random secret for HS256, HS384 and HS512. */
export function newSecret(): string {
  return randomBytes(48).toString("base64url");
}

/** Returns the names of the secrets that the entries of ISSUERS use. */
export function issuerSecrets(issuers: unknown): string[] {
  if (!Array.isArray(issuers)) return [];
  const names = issuers.map((issuer: { keys?: { secret?: unknown } } | null) => issuer?.keys?.secret);
  // A text of another form may be the secret itself, put there by mistake.
  return names.filter((name): name is string => typeof name === "string" && /^[A-Z][A-Z0-9_]{0,63}$/.test(name));
}

/** Returns everything in .dev.vars. */
export function readSecretsFile(project: Project): Record<string, string> {
  const path = project.path(SECRETS_FILE);
  return existsSync(path) ? (parseEnv(readFileSync(path, "utf8")) as Record<string, string>) : {};
}

/** Returns the secrets with these names that are set, in .dev.vars or else in the environment. */
export function readSecrets(project: Project, names: string[]): Record<string, string> {
  const file = readSecretsFile(project);
  const found = names.map((name): [string, string | undefined] => [name, file[name] ?? process.env[name]]);
  return Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== ""));
}

/** Returns secrets as the text of a file that wrangler reads. Between quotes, it changes nothing. */
export function secretsText(secrets: Record<string, string>): string {
  return Object.entries(secrets).map(([name, value]) => `${name}=${quoted(name, value)}\n`).join("");
}

function quoted(name: string, value: string): string {
  const quote = ["'", "`"].find((quote) => !value.includes(quote) && !value.endsWith("\\"));
  if (quote === undefined) throw new Failure(`${name} cannot be kept in ${SECRETS_FILE}: it has both ' and \`, or a backslash at its end.`);
  return `${quote}${value}${quote}`;
}

/**
 * Replaces secrets in .dev.vars, adds new ones at its end, and removes those that are null. Other lines stay as they are. The
 * file may be the only copy of its secrets, so it is replaced as a whole: an end in the middle leaves the one before.
 */
export function changeSecretsFile(project: Project, changes: Record<string, string | null>): void {
  const path = project.path(SECRETS_FILE);
  const lines = existsSync(path) ? readFileSync(path, "utf8").replace(/\n$/, "").split("\n") : [];
  const left = new Map(Object.entries(changes));
  const changed = lines.flatMap((line) => {
    const name = /^\s*(?:export\s+)?([A-Z0-9_]+)\s*=/.exec(line)?.[1];
    if (name === undefined || !(name in changes)) return [line];
    const value = left.get(name);
    left.delete(name);
    return typeof value === "string" ? [secretsText({ [name]: value }).trimEnd()] : [];
  });
  const added = [...left].flatMap(([name, value]) => (value === null ? [] : [secretsText({ [name]: value }).trimEnd()]));
  const target = existsSync(path) ? realpathSync(path) : path;
  const next = `${target}.${process.pid}.tmp`;
  writeFileSync(next, `${[...changed, ...added].join("\n")}\n`, { mode: 0o600, flush: true });
  renameSync(next, target);
}

/** Writes .dev.vars, which only its owner may read. */
export function writeSecretsFile(project: Project, secrets: Record<string, string>, comments: Record<string, string>): void {
  const lines = Object.entries(secrets).map(([name, value]) => `# ${comments[name] ?? ""}\n${secretsText({ [name]: value })}`);
  const head = "# Secrets of this gateway. git ignores this file; `valetkey deploy` uploads them. Never print or share them.\n";
  writeFileSync(project.path(SECRETS_FILE), [head, ...lines].join("\n"), { mode: 0o600 });
}
