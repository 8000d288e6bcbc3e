// `make deploy`, `make rollback`, `make rotate` and `make status`: the commands of the tool (cli/) for this repository, whose
// settings are in wrangler.toml and whose secrets are at Cloudflare.
//
// Usage: node scripts/operate.mjs deploy|rollback|rotate|status [VERSION|STEP] [FLAGS]
import { parseArgs } from "node:util";
import { nextKey } from "../cli/src/commands/rotate.ts";
import { deployGateway } from "../cli/src/operate/deploy.ts";
import { gatewayOf, requireAdmin } from "../cli/src/operate/gateway.ts";
import { rollBack } from "../cli/src/operate/rollback.ts";
import { begin, describe, finish } from "../cli/src/operate/rotate.ts";
import { statusLines } from "../cli/src/operate/status.ts";
import { Project } from "../cli/src/project/folder.ts";
import { printable } from "../cli/src/terminal.ts";
import { issuersIn, readVariables, ROOT } from "./tracked-settings.mjs";

const FLAGS = Object.fromEntries(["no-pause", "with-old-secrets", "force", "json"].map((name) => [name, { type: "boolean", default: false }]));
const TEXTS = { url: { type: "string" }, "key-file": { type: "string" } };
const { values: flags, positionals } = parseArgs({ options: { ...FLAGS, ...TEXTS }, allowPositionals: true });
const [command, argument] = positionals;

const variables = readVariables();
const gateway = gatewayOf(new Project(ROOT), { ...variables, ISSUERS: issuersIn(variables) }, flags.url);
const commandLine = (args) => `node_modules/.bin/node scripts/operate.mjs ${args}`;
const pauses = !flags["no-pause"];

async function run() {
  if (command === "deploy") {
    // Secrets are at Cloudflare: those of .dev.vars are for development.
    const url = await deployGateway(gateway, { secrets: {}, pauses, takesOtherKey: false, commandLine });
    return console.log(url === undefined ? "Deployed. Open /readyz on your own domain." : `${url} is ready.`);
  }
  if (command === "rollback") {
    const version = await rollBack(gateway, argument, { takesOldSecrets: flags["with-old-secrets"], pauses, commandLine });
    return console.log(`${version} is deployed.`);
  }
  if (command === "rotate" && argument === "begin") return begin(gateway, await nextKey(gateway.project, flags), commandLine);
  if (command === "rotate" && argument === "finish") return finish(gateway, await nextKey(gateway.project, flags), flags.force, commandLine);
  if (command !== "status" && !(command === "rotate" && argument === "status")) throw new Error("Name deploy, rollback, rotate begin, status or finish, or status.");
  const state = await requireAdmin(gateway).state();
  const shown = command === "rotate" ? state.rotation : state;
  if (flags.json) return console.log(printable(JSON.stringify(shown, undefined, 2)));
  console.log(printable(command === "rotate" ? describe(state.rotation) : statusLines(state).join("\n")));
}

try {
  await run();
} catch (thrown) {
  console.error(`\n${printable(thrown.message)}`);
  process.exitCode = 1;
}
