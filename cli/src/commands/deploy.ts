import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { noteAddress } from "../project/addresses.ts";
import type { Checked } from "../project/check.ts";
import { findProject, type Project } from "../project/folder.ts";
import { deployWithSecrets, exitOf, runWrangler, startWrangler } from "../project/wrangler.ts";
import { Progress, whileShowing } from "../terminal.ts";
import { checked } from "./check.ts";
import type { Command } from "./command.ts";

/** How long a new deployment may take until it answers. */
const READY_WAIT_MS = 60_000;
const READY_POLL_MS = 1_000;

export const deploy: Command = {
  summary: "Checks the settings, deploys the gateway to Cloudflare and waits until it is ready",
  details: `
Uploads the Worker, its settings and the secrets of .dev.vars as one version. In CI set CLOUDFLARE_API_TOKEN; secrets that are
not there stay as they are at Cloudflare.
`,
  options: {
    "dry-run": { type: "boolean", help: "does everything but the upload" },
  },
  async run(options) {
    const project = findProject();
    const result = checked(project, { for: "deploy" });
    if (options["dry-run"] === true) return dryRun(project, result);
    await ensureLogin(project);
    const url = await upload(project, result.secrets);
    if (url === undefined) {
      return console.log("Deployed. wrangler.jsonc gives it no address on workers.dev: open /readyz on your own domain.");
    }
    noteAddress(project, "deployment", { url });
    await waitUntilReady(url);
    console.log(`\n${url} is ready. Make a picture with it:\n\n  npx --no-install valetkey picture "A serene Japanese garden" --url ${url}`);
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

/** Makes sure that wrangler may deploy. Opens the browser where somebody sits in front of it. */
async function ensureLogin(project: Project): Promise<void> {
  if (process.env["CLOUDFLARE_API_TOKEN"]) return;
  const { output } = await whileShowing("Looking for a login at Cloudflare", () => runWrangler(project, ["whoami"]));
  if (!/not authenticated|not logged in/i.test(output)) return;
  if (!process.stdin.isTTY || process.env["CI"]) {
    throw new Failure("wrangler is not logged in: set CLOUDFLARE_API_TOKEN, or run `npx --no-install wrangler login` once.");
  }
  const code = await exitOf(startWrangler(project, ["login"], "inherit"));
  if (code !== 0) throw new Failure("wrangler could not log in: try `npx --no-install wrangler login`.");
}

/** Uploads the Worker and its secrets as one version. Returns its address, if it has one on workers.dev. */
async function upload(project: Project, secrets: Record<string, string>): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "valetkey-deploy-"));
  const report = join(folder, "report.ndjson");
  try {
    const env = { WRANGLER_OUTPUT_FILE_PATH: report };
    const hasSecrets = Object.keys(secrets).length > 0;
    const code = await (hasSecrets ? deployWithSecrets(project, secrets, env) : exitOf(startWrangler(project, ["deploy"], "inherit", env)));
    if (code !== 0) throw new Failure(`wrangler ended with code ${code}: its output above says why, and the deployment before is still there.`);
    return addressIn(readFileSync(report, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the first address in wrangler's report of a deployment. */
function addressIn(report: string): string | undefined {
  const entries = report.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { type?: string; targets?: string[] });
  const targets = entries.flatMap(({ type, targets }) => (type === "deploy" ? (targets ?? []) : []));
  // Also listed: routes with a pattern, and schedules.
  const hosts = targets.map((target) => target.replace(/ \(custom domain\)$/, ""));
  const found = hosts.find((target) => /^(?:https?:\/\/)?[\w.-]+\.[\w.-]+(?::\d+)?$/.test(target));
  return found === undefined || found.includes("://") ? found : `https://${found}`;
}

/** Waits until `/readyz` is 200. Throws with what it says otherwise. */
async function waitUntilReady(url: string): Promise<void> {
  const progress = new Progress(`Waiting for ${url}/readyz`);
  const until = Date.now() + READY_WAIT_MS;
  let last = "no response";
  while (Date.now() < until) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) });
      if (response.ok) return progress.end();
      last = `status ${response.status}: ${(await response.text()).slice(0, 2_000)}`;
    } catch {
      // A new name on workers.dev may need some seconds.
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  progress.end("Not ready");
  throw new Failure(`The deployment is not ready after ${READY_WAIT_MS / 1_000} s (${last}): correct what it names and deploy again.`);
}
