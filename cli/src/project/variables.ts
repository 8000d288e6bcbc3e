// The Worker's variables: the settings of valetkey.jsonc, with long ones cut into several.
import { Document, type Problem } from "./located.ts";

/** The most bytes of a variable (platform's limit: 5 KB). */
export const VARIABLE_MAX_BYTES = 5_120;
/** Variables and secrets that a Worker may have on the free plan and on the paid one. */
const FREE_PLAN_MOST = 64;
const PAID_PLAN_MOST = 128;
/** A part of a long setting. Below the limit, so that the platform's own way to count cannot exceed it. */
const PART_BYTES = 5_000;
/** Settings that continue in `NAME_2` and so on, with the last number. */
const PARTS: Record<string, number> = { ISSUERS: 9, POLICY: 40 };

/** Returns the text of a setting as the Worker reads it. */
export function textOf(name: string, value: unknown): string {
  if (name === "ALLOWED_ORIGINS" && Array.isArray(value)) return value.length === 0 ? "none" : value.join(",");
  return typeof value === "string" ? value : asciiJson(value);
}

/** JSON with escapes for everything that is not ASCII, so that it may be cut anywhere. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Returns the settings as variables. */
export function variablesOf(values: Record<string, unknown>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    if (name === "$schema") continue;
    const text = textOf(name, value);
    const size = Object.hasOwn(PARTS, name) ? PART_BYTES : Math.max(1, text.length);
    const count = Math.max(1, Math.ceil(text.length / size));
    for (let part = 0; part < count; part += 1) {
      variables[part === 0 ? name : `${name}_${part + 1}`] = text.slice(part * size, (part + 1) * size);
    }
  }
  return variables;
}

/**
 * Returns what the platform refuses and a dry run does not: a name as variable and as secret, a variable or secret that is
 * too long, too many of them.
 */
export function platformProblems(
  settings: Document,
  worker: Document,
  variables: Record<string, string>,
  secrets: Record<string, string>,
): Problem[] {
  const problems: Problem[] = [];
  const own = (worker.values["vars"] ?? {}) as Record<string, unknown>;
  const texts = { ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, textOf(name, value)])), ...variables };
  const at = (name: string, text: string): Problem =>
    Object.hasOwn(own, name) ? worker.problem(["vars", name], text) : settings.problem([name.replace(/_\d+$/, "")], text);
  for (const name of Object.keys(own)) {
    if (Object.hasOwn(variables, name)) problems.push(worker.problem(["vars", name], `${name} is also in ${settings.file}: keep it there`));
  }
  for (const [name, last] of Object.entries(PARTS)) {
    if (Object.hasOwn(variables, `${name}_${last + 1}`)) problems.push(at(name, `${name} is longer than ${last} variables of ${PART_BYTES} bytes`));
  }
  for (const [name, text] of Object.entries(texts)) {
    if (Buffer.byteLength(text) > VARIABLE_MAX_BYTES) problems.push(at(name, `${name} is longer than ${VARIABLE_MAX_BYTES} bytes, which a variable may have`));
    if (Object.hasOwn(secrets, name)) problems.push(at(name, `${name} is a variable and a secret, which Cloudflare refuses: keep one of them`));
  }
  for (const [name, text] of Object.entries(secrets)) {
    if (Buffer.byteLength(text) > VARIABLE_MAX_BYTES) problems.push(at(name, `the secret ${name} is longer than ${VARIABLE_MAX_BYTES} bytes`));
  }
  const count = new Set([...Object.keys(texts), ...Object.keys(secrets)]).size;
  const most = `${count} variables and secrets are more than`;
  if (count > PAID_PLAN_MOST) problems.push(settings.problem([], `${most} the ${PAID_PLAN_MOST} that a Worker may have`));
  else if (count > FREE_PLAN_MOST) {
    problems.push({ ...settings.problem([], `${most} the ${FREE_PLAN_MOST} of the free plan: this needs the paid one`), isWarning: true });
  }
  return problems;
}
