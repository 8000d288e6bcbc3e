import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { hasEnded, valetkey, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { Prediction } from "../../../clients/web/src/schema.ts";
import { bytesOf } from "../bounded.ts";
import { Failure, messageOf } from "../failure.ts";
import { type Address, findGateway } from "../project/addresses.ts";
import { checkProject } from "../project/check.ts";
import { findProject } from "../project/folder.ts";
import { signToken } from "../project/tokens.ts";
import { Progress } from "../terminal.ts";
import { type Command, text } from "./command.ts";

/** The most bytes of a picture that is saved. */
const PICTURE_MAX_BYTES = 64 * 1024 * 1024;
const EXTENSIONS = new Map([
  ["image/png", "png"],
  ["image/jpeg", "jpg"],
  ["image/webp", "webp"],
  ["image/gif", "gif"],
  ["image/svg+xml", "svg"],
  ["video/mp4", "mp4"],
  ["video/webm", "webm"],
]);

export const picture: Command = {
  summary: "Makes a picture with your own gateway, and saves it",
  argument: "PROMPT",
  details: `
Signs a token, creates a prediction, shows its events, and saves the picture. Asks the running \`valetkey dev\`, or else the
deployment.
`,
  options: {
    model: { type: "string", value: "OWNER/MODEL", help: "default: the first model of POLICY" },
    url: { type: "string", value: "URL", help: "the gateway's address" },
    sub: { type: "string", value: "SUB", help: "the user whom the picture is for; default: cli" },
    out: { type: "string", value: "FOLDER", help: "where the picture is saved; default: pictures beside the settings" },
  },
  async run(options, [prompt, ...more]) {
    if (prompt === undefined || more.length > 0) throw new Failure('Put the prompt in quotes: `valetkey picture "A serene Japanese garden"`.');
    const project = findProject();
    const { values } = checkProject(project, { for: "dev" });
    const model = text(options, "model") ?? firstModel(values["POLICY"]);
    const subject = text(options, "sub") ?? "cli";
    const getToken = (): Promise<string> => signToken(project, values["ISSUERS"], { subject, minutes: 5 });
    // First, so that a missing secret is named before a missing gateway.
    await getToken();
    const gateway = await findGateway(project, text(options, "url"));
    const prediction = await make(gateway, getToken, model, prompt);
    const out = text(options, "out");
    const path = await save(prediction, out === undefined ? project.path("pictures") : resolve(out));
    const standIn = gateway.isMock === true ? " (a stand-in: `valetkey dev` runs with --mock)" : "";
    console.log(`${relative(".", path)}${standIn}`);
  },
};

function firstModel(policy: unknown): string {
  const models = (policy as { models?: unknown } | undefined)?.models;
  const name = typeof models === "object" && models !== null ? Object.keys(models)[0] : undefined;
  if (name === undefined) throw new Failure("POLICY has no model: add one to `models`.");
  return name;
}

async function make({ url: baseUrl, isDev = false }: Address, getToken: () => Promise<string>, model: string, prompt: string): Promise<Prediction> {
  const progress = new Progress(`${model} at ${baseUrl}`);
  try {
    const client = valetkey({ baseUrl, getToken, allowHttp: isDev });
    const prediction = await client.run(model, { prompt }, { onUpdate: (state) => !hasEnded(state) && progress.update(describe(state)) });
    progress.end(`succeeded${prediction.credits_used === null ? "" : `, ${prediction.credits_used} credits`}`);
    return prediction;
  } catch (thrown) {
    progress.end("failed");
    if (!(thrown instanceof ValetkeyError)) throw thrown;
    if (thrown.code === "network" || thrown.code === "unreadable_answer") {
      const job = thrown.jobId === undefined ? "" : ` The prediction ${thrown.jobId} may still succeed.`;
      throw new Failure(`${baseUrl} does not answer as a gateway: look at ${baseUrl}/readyz, and whether the address is right.${job}`);
    }
    if (thrown.status === 401) throw new Failure(`${baseUrl} refuses the token (${thrown.code}): is VALETKEY_CLI_SECRET the one of that deployment?`);
    const request = thrown.requestId === undefined ? "" : ` (request ${thrown.requestId})`;
    throw new Failure(`${thrown.code}: ${thrown.message}${request}`);
  }
}

function describe({ status, queue }: Prediction): string {
  if (queue === undefined || queue === null) return status;
  return `${status}: place ${queue.position ?? "?"}, about ${queue.eta_seconds ?? "?"} s`;
}

async function save(prediction: Prediction, folder: string): Promise<string> {
  const url = prediction.output[0];
  if (url === undefined) throw new Failure(`The prediction ${prediction.job_id} succeeded without an output.`);
  const response = await fetchOutput(url);
  const bytes = await bytesOf(response, PICTURE_MAX_BYTES);
  if (bytes === undefined) throw new Failure(`The output is larger than ${PICTURE_MAX_BYTES} bytes or ended early: open it at ${url}`);
  const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const extension = EXTENSIONS.get(type) ?? "bin";
  // An id is a gateway's text, and must not lead out of the folder.
  const name = /^[\w-]{1,100}$/.test(prediction.job_id) ? prediction.job_id : "picture";
  const path = join(folder, `${name}.${extension}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, bytes);
  } catch (thrown) {
    throw new Failure(`${path} cannot be written (${messageOf(thrown)}): choose another folder with --out, and open the picture at ${url}`);
  }
  return path;
}

async function fetchOutput(url: string): Promise<Response> {
  let reason: string;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    if (response.ok) return response;
    reason = `status ${response.status}`;
  } catch (thrown) {
    reason = messageOf(thrown);
  }
  throw new Failure(`The prediction succeeded, but its output could not be fetched (${reason}): ${url}`);
}
