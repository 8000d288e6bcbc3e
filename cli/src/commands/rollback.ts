import { Failure } from "../failure.ts";
import { gatewayOf } from "../operate/gateway.ts";
import { rollBack } from "../operate/rollback.ts";
import { findProject } from "../project/folder.ts";
import { type Command, text } from "./command.ts";
import { commandLine, URL_OPTION } from "./deploy.ts";
import { settingsOf } from "./token.ts";

export const rollback: Command = {
  summary: "Goes back to an earlier version of the gateway, in a pause",
  argument: "[VERSION]",
  details: `
VERSION is an id of \`wrangler versions list\`; default: the version that was deployed before. A version has the secrets of its time:
one with another vendor key, or an unknown one, is refused, and so is one that cannot read what is stored.
`,
  options: {
    "with-old-secrets": { type: "boolean", help: "also if its vendor key is another one, or unknown" },
    "no-pause": { type: "boolean", help: "does not pause creates" },
    url: URL_OPTION,
  },
  async run(options, [version, ...more]) {
    if (more.length > 0) throw new Failure("Name one version: `valetkey rollback VERSION`.");
    const project = findProject();
    const gateway = gatewayOf(project, settingsOf(project), text(options, "url"));
    const takesOldSecrets = options["with-old-secrets"] === true;
    const deployed = await rollBack(gateway, version, { takesOldSecrets, pauses: options["no-pause"] !== true, commandLine });
    console.log(`${deployed} is deployed.`);
  },
};
