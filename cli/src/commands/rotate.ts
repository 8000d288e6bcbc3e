import * as prompts from "@clack/prompts";
import { Failure } from "../failure.ts";
import { gatewayOf, requireAdmin } from "../operate/gateway.ts";
import { begin, describe, finish, NEXT_KEY } from "../operate/rotate.ts";
import { findProject, type Project } from "../project/folder.ts";
import { readKeyFile } from "../project/keys.ts";
import { readSecrets } from "../project/secrets.ts";
import { printable } from "../terminal.ts";
import { type Command, type Options, text } from "./command.ts";
import { commandLine, URL_OPTION } from "./deploy.ts";
import { settingsOf } from "./token.ts";

export const rotate: Command = {
  summary: "Replaces the vendor's key without losing a prediction",
  argument: "begin|status|finish",
  details: `
begin gives the gateway the new key: new predictions go to it once the vendor accepts it. status says whether one still needs the
old key. finish makes the new key the only one; then revoke the old one at the vendor. Each may be repeated.

The new key comes from --key-file, .dev.vars or the environment (${NEXT_KEY}), or it is asked for. It is never an argument.
`,
  options: {
    "key-file": { type: "string", value: "FILE", help: "a file with the new key; - is standard input" },
    force: { type: "boolean", help: "finishes although predictions of the old key have not ended" },
    json: { type: "boolean", help: "status as JSON" },
    url: URL_OPTION,
  },
  async run(options, [step, ...more]) {
    if (step === undefined || more.length > 0 || !["begin", "status", "finish"].includes(step)) {
      throw new Failure("Name a step: `valetkey rotate begin`, `status` or `finish`.");
    }
    const project = findProject();
    const gateway = gatewayOf(project, settingsOf(project), text(options, "url"));
    if (step === "begin") return begin(gateway, await nextKey(project, options), commandLine);
    if (step === "finish") return finish(gateway, await nextKey(project, options), options["force"] === true, commandLine);
    const { rotation } = await requireAdmin(gateway).state();
    console.log(printable(options["json"] === true ? JSON.stringify(rotation, undefined, 2) : describe(rotation)));
  },
};

/** Returns the key to come. */
export async function nextKey(project: Project, options: Options): Promise<string> {
  const file = text(options, "key-file");
  if (file !== undefined) return readKeyFile(file);
  const known = readSecrets(project, [NEXT_KEY])[NEXT_KEY];
  if (known !== undefined) return known;
  if (!process.stdin.isTTY || process.env["CI"]) throw new Failure(`The new key is not here: set ${NEXT_KEY}, or name a file with --key-file.`);
  const answer = await prompts.password({ message: "The vendor's new key" });
  if (typeof answer !== "string" || answer.trim() === "") throw new Failure("Nothing was changed.");
  return answer.trim();
}
