// The settings in a wrangler.toml, as the Worker reads them.
import { resolve } from "node:path";
import { unstable_readConfig as readConfig } from "wrangler";
import { textOf } from "../cli/src/project/variables.ts";

export const ROOT = resolve(import.meta.dirname, "..");

/** Returns the variables as texts. */
export function readVariables(file = "wrangler.toml") {
  const { vars } = readConfig({ config: resolve(ROOT, file) });
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, textOf(name, value)]));
}

/** Returns the value of ISSUERS, if it is JSON. Otherwise the parser says what is wrong. */
export function issuersIn({ ISSUERS = "[]", ...others }) {
  try {
    return JSON.parse([ISSUERS, ...Array.from({ length: 8 }, (_, index) => others[`ISSUERS_${index + 2}`] ?? "")].join(""));
  } catch {
    return [];
  }
}
