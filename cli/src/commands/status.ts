import { gatewayOf, requireAdmin } from "../operate/gateway.ts";
import { statusLines } from "../operate/status.ts";
import { findProject } from "../project/folder.ts";
import { printable } from "../terminal.ts";
import { type Command, text } from "./command.ts";
import { URL_OPTION } from "./deploy.ts";
import { settingsOf } from "./token.ts";

export const status: Command = {
  summary: "Shows the state of the deployed gateway",
  details: `
The versions, the vendor key and its rotation, what is being sent, pauses, unknown outcomes, today's spending and the last alerts. Needs an
operator's token.
`,
  options: {
    json: { type: "boolean", help: "everything, as JSON" },
    url: URL_OPTION,
  },
  async run(options) {
    const project = findProject();
    const admin = requireAdmin(gatewayOf(project, settingsOf(project), text(options, "url")));
    const state = await admin.state();
    console.log(printable(options["json"] === true ? JSON.stringify(state, undefined, 2) : statusLines(state).join("\n")));
  },
};
