import { Failure } from "../failure.ts";
import { type CommandLine, deployGateway } from "../operate/deploy.ts";
import { gatewayOf } from "../operate/gateway.ts";
import type { Checked } from "../project/check.ts";
import { findProject, type Project, SETTINGS_FILE } from "../project/folder.ts";
import { runWrangler } from "../project/wrangler.ts";
import { whileShowing } from "../terminal.ts";
import { checked } from "./check.ts";
import { type Command, type Option, text } from "./command.ts";

/** How the commands are run in a folder that `create` made. */
export const commandLine: CommandLine = (command) => `npx --no-install valetkey ${command}`;

/** Where the gateway is, for the commands of operators. */
export const URL_OPTION: Option = { type: "string", value: "URL", help: "the gateway's address; default: PUBLIC_URL, or where it was deployed" };

export const deploy: Command = {
  summary: "Checks the settings, deploys the gateway to Cloudflare and waits until it is ready",
  details: `
Uploads the Worker, its settings and the secrets of .dev.vars as one version. In CI set CLOUDFLARE_API_TOKEN; secrets that are
not there stay as they are at Cloudflare.

With an operator's token, creates are paused first, so that the update of the objects interrupts no prediction that is being sent.
The pause ends by itself within two minutes if this command dies.
`,
  options: {
    "dry-run": { type: "boolean", help: "does everything but the upload" },
    "no-pause": { type: "boolean", help: "does not pause creates" },
    "with-other-key": { type: "boolean", help: "also if the vendor key here is not the deployed one" },
    url: URL_OPTION,
  },
  async run(options) {
    const project = findProject();
    const result = checked(project, { for: "deploy" });
    if (options["dry-run"] === true) return dryRun(project, result);
    const gateway = gatewayOf(project, result.values, text(options, "url"));
    const takesOtherKey = options["with-other-key"] === true;
    const url = await deployGateway(gateway, { secrets: result.secrets, pauses: options["no-pause"] !== true, takesOtherKey, commandLine });
    if (url === undefined) {
      return console.log("Deployed. wrangler.jsonc gives it no address on workers.dev: open /readyz on your own domain.");
    }
    if (result.values["PUBLIC_URL"] === undefined) {
      console.log(`\nPUBLIC_URL is not set: add "PUBLIC_URL": "${url}" to ${SETTINGS_FILE} and deploy again. Without it the vendor is polled for each end, and the operator's page has no actions.`);
    }
    console.log(`\n${url} is ready. Make a picture with it:\n\n  ${commandLine(`picture "A serene Japanese garden" --url ${url}`)}`);
  },
};

async function dryRun(project: Project, { variables, secrets }: Checked): Promise<void> {
  const args = ["deploy", "--dry-run", "--outdir", ".valetkey/dry-run"];
  const { code, output } = await whileShowing("wrangler deploy --dry-run", () => runWrangler(project, args));
  if (code !== 0) {
    console.error(output.trim());
    throw new Failure(`The dry run ended with code ${code}: wrangler's output above says why.`);
  }
  const size = /gzip: ([\d.]+ KiB)/.exec(output)?.[1] ?? "an unknown size";
  const names = Object.keys(secrets).join(", ");
  console.log(`Nothing was uploaded. A deployment has ${size}, ${Object.keys(variables).length} variables and these secrets: ${names || "none"}.`);
}
