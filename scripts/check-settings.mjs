// `make deploy`: checks the settings of wrangler.toml before they are deployed, as `valetkey check` does. The secrets are
// at Cloudflare, so stand-ins take their place.
//
// Usage: node scripts/check-settings.mjs [wrangler.toml]
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { unstable_readConfig as readConfig } from "wrangler";
import { newVendorKey } from "../cli/src/project/keys.ts";
import { Document } from "../cli/src/project/located.ts";
import { issuerSecrets, newSecret } from "../cli/src/project/secrets.ts";
import { platformProblems, textOf } from "../cli/src/project/variables.ts";

const root = resolve(import.meta.dirname, "..");
const file = process.argv[2] ?? "wrangler.toml";
/** A host that nobody has: settings for development are wrong there. */
const PUBLIC_HOST = "deployment.example";

const { vars } = readConfig({ config: resolve(root, file) });
const texts = Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, textOf(name, value)]));
const secrets = Object.fromEntries(["DEEPCREATIVE_API_KEY", ...issuerSecrets(issuersIn(texts))].map((name) => [name, newSecret()]));
secrets.DEEPCREATIVE_API_KEY = newVendorKey();
const { check } = createRequire(import.meta.url)(join(root, "build/check/check.cjs"));
const { problems } = JSON.parse(check(JSON.stringify({ settings: { ...texts, ...secrets }, host: PUBLIC_HOST })));
const nowhere = new Document(file, "{}");
const refused = platformProblems(nowhere, nowhere, texts, secrets);
for (const { name, problem } of problems) console.error(`${file}: ${name}: ${problem}`);
for (const { text, isWarning } of refused) console.error(`${file}: ${isWarning ? "warning: " : ""}${text}`);
if (problems.length > 0 || refused.some(({ isWarning }) => !isWarning)) {
  console.error("\nThe settings are wrong: correct them before you deploy. docs/settings.md explains each.");
  process.exitCode = 1;
}

/** Returns the value of ISSUERS, if it is JSON. Otherwise the parser says what is wrong. */
function issuersIn({ ISSUERS = "[]", ...others }) {
  try {
    return JSON.parse([ISSUERS, ...Array.from({ length: 8 }, (_, index) => others[`ISSUERS_${index + 2}`] ?? "")].join(""));
  } catch {
    return [];
  }
}
