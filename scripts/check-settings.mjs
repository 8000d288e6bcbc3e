// `make deploy`: checks the settings of wrangler.toml before they are deployed, as `valetkey check` does. The secrets are
// at Cloudflare, so stand-ins take their place.
//
// Usage: node scripts/check-settings.mjs [wrangler.toml]
import { newVendorKey } from "../cli/src/project/keys.ts";
import { Document } from "../cli/src/project/located.ts";
import { parserProblems } from "../cli/src/project/parser.ts";
import { issuerSecrets, newSecret } from "../cli/src/project/secrets.ts";
import { platformProblems } from "../cli/src/project/variables.ts";
import { issuersIn, readVariables } from "./tracked-settings.mjs";

const file = process.argv[2] ?? "wrangler.toml";
/** A host that nobody has: settings for development are wrong there. */
const PUBLIC_HOST = "deployment.example";

const texts = readVariables(file);
const secrets = Object.fromEntries(["DEEPCREATIVE_API_KEY", ...issuerSecrets(issuersIn(texts))].map((name) => [name, newSecret()]));
secrets.DEEPCREATIVE_API_KEY = newVendorKey();
const problems = parserProblems({ ...texts, ...secrets }, PUBLIC_HOST);
const nowhere = new Document(file, "{}");
const refused = platformProblems(nowhere, nowhere, texts, secrets);
for (const { name, problem } of problems) console.error(`${file}: ${name}: ${problem}`);
for (const { text, isWarning } of refused) console.error(`${file}: ${isWarning ? "warning: " : ""}${text}`);
if (problems.length > 0 || refused.some(({ isWarning }) => !isWarning)) {
  console.error("\nThe settings are wrong: correct them before you deploy. docs/settings.md explains each.");
  process.exitCode = 1;
}
