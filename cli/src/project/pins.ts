// The pins: members that every deployment has, whatever wrangler.jsonc says. A member that is missing there is added to what
// wrangler reads; one that says otherwise is a problem.
import type { Document, Path, Problem } from "./located.ts";

interface Members {
  [name: string]: boolean | number | string | Members;
}

/** The pinned members of wrangler's configuration. The repository's wrangler.toml has the same. */
export const PINS: Members = {
  // Addresses of single versions would answer with old code and old secrets.
  preview_urls: false,
  // An edge and the Dispatcher say which version they run, so that a deployment can wait for both.
  version_metadata: { binding: "CF_VERSION_METADATA" },
  // The names and versions of everything in node_modules are nobody's business.
  dependencies_instrumentation: { enabled: false },
  // The platform's own default. Commands of this tool ask for an immediate update, once nothing is being sent.
  durable_objects: { code_update_strategy: { mode: "deferred", max_delay: 300 } },
  // URLs, spans and their SQL parameters hold prompts, and the capabilities of webhooks.
  observability: { redact_query_string: true, logs: { invocation_logs: false }, traces: { enabled: false } },
};

/** Returns a configuration with the pinned members in it. */
export function pinned(configuration: Record<string, unknown>, pins: Members = PINS): Record<string, unknown> {
  const result = { ...configuration };
  for (const [name, pin] of Object.entries(pins)) result[name] = typeof pin === "object" ? pinned(objectOf(result[name]), pin) : pin;
  return result;
}

/** Returns the members of wrangler.jsonc that contradict a pin. */
export function pinProblems(worker: Document): Problem[] {
  return contradictions(worker.values, PINS, []).map(([path, pin]) => worker.problem(path, `${path.join(".")} must be ${JSON.stringify(pin)}, or not be here`));
}

function contradictions(values: Record<string, unknown>, pins: Members, above: Path): [Path, unknown][] {
  return Object.entries(pins).flatMap(([name, pin]): [Path, unknown][] => {
    const value = values[name];
    if (typeof pin === "object") return contradictions(objectOf(value), pin, [...above, name]);
    return value === undefined || value === pin ? [] : [[[...above, name], pin]];
  });
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
