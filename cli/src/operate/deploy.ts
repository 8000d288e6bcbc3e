// A deployment of a gateway, for `valetkey deploy` and `make deploy`.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../failure.ts";
import { noteAddress } from "../project/addresses.ts";
import type { Project } from "../project/folder.ts";
import { fingerprintOf } from "../project/keys.ts";
import { deployWithSecrets, exitOf, runWrangler, startWrangler } from "../project/wrangler.ts";
import { whileShowing } from "../terminal.ts";
import { findPause, type Gateway, NOT_QUIET } from "./gateway.ts";
import { refuseOtherJurisdiction } from "./jurisdiction.ts";
import { type Deployed, rollOut } from "./rollout.ts";
import { deployedVersion } from "./versions.ts";

/** How a command of the tool is run in this folder. */
export type CommandLine = (command: string) => string;

export interface DeployOptions {
  /** Uploaded with the Worker, as one version. Others stay as they are at Cloudflare. */
  secrets: Record<string, string>;
  /** False: creates are not paused, even if they could be. */
  pauses: boolean;
  /** True: the secrets may have another vendor key than the deployed version. */
  takesOtherKey: boolean;
  commandLine: CommandLine;
}

/** Deploys a gateway and waits until it is ready. Returns its address, if it has one that is known. */
export async function deployGateway(gateway: Gateway, options: DeployOptions): Promise<string | undefined> {
  const { project } = gateway;
  const { secrets, pauses, takesOtherKey, commandLine } = options;
  await ensureLogin(project);
  const before = await whileShowing("Asking Cloudflare what is deployed", () => deployedVersion(project));
  if (before !== undefined) await refuseOtherJurisdiction(project, before, gateway.jurisdiction);
  // A new Worker has nothing to pause.
  const { admin, isIdle } = before === undefined || !pauses ? NOT_QUIET : await findPause(gateway);
  if (before !== undefined && !takesOtherKey) await refuseOtherKeys(gateway, secrets, admin !== undefined);
  const wayBack = before === undefined ? undefined : commandLine(`rollback ${before}`);
  const { url } = await rollOut(admin, { apply: (flags) => upload(project, secrets, flags), wayBack, isIdle });
  if (url !== undefined) noteAddress(project, "deployment", { url });
  return url ?? gateway.url;
}

/**
 * Throws if the key is not the deployed one: a place that a rotation forgot would bring back a key that is revoked. The same
 * for a next key that a finished rotation left: with the same key twice, the gateway refuses every request. Without a pause, a
 * gateway that does not say which key it has is no reason: `--no-pause` deploys one that is broken.
 */
async function refuseOtherKeys({ admin }: Gateway, secrets: Record<string, string>, mustAnswer: boolean): Promise<void> {
  const state = await admin?.state().catch((thrown: unknown) => {
    if (mustAnswer) throw thrown;
  });
  if (!state) return;
  const deployed = state.vendor_key.fingerprint;
  const { DEEPCREATIVE_API_KEY: key, DEEPCREATIVE_API_KEY_NEXT: next } = secrets;
  if (key !== undefined && fingerprintOf(key) !== deployed) {
    throw new Failure(`The vendor key here (fingerprint ${fingerprintOf(key)}) is not the deployed one (${deployed}): replace keys with \`rotate\`, or deploy with --with-other-key.`);
  }
  if (next !== undefined && fingerprintOf(next) === deployed) {
    throw new Failure("DEEPCREATIVE_API_KEY_NEXT here is the key that is deployed already, so the rotation to it is finished: remove it, from the environment too.");
  }
}

/** Makes sure that wrangler may deploy. Opens the browser where somebody sits in front of it. */
export async function ensureLogin(project: Project): Promise<void> {
  if (process.env["CLOUDFLARE_API_TOKEN"]) return;
  const { output } = await whileShowing("Looking for a login at Cloudflare", () => runWrangler(project, ["whoami"]));
  if (!/not authenticated|not logged in/i.test(output)) return;
  if (!process.stdin.isTTY || process.env["CI"]) {
    throw new Failure("wrangler is not logged in: set CLOUDFLARE_API_TOKEN, or run `npx --no-install wrangler login` once.");
  }
  const code = await exitOf(startWrangler(project, ["login"], "inherit"));
  if (code !== 0) throw new Failure("wrangler could not log in: try `npx --no-install wrangler login`.");
}

/** Uploads the Worker and its secrets as one version. */
async function upload(project: Project, secrets: Record<string, string>, flags: string[]): Promise<Deployed> {
  const folder = mkdtempSync(join(tmpdir(), "valetkey-deploy-"));
  const report = join(folder, "report.ndjson");
  try {
    const env = { WRANGLER_OUTPUT_FILE_PATH: report };
    const hasSecrets = Object.keys(secrets).length > 0;
    const code = await (hasSecrets ? deployWithSecrets(project, secrets, flags, env) : exitOf(startWrangler(project, ["deploy", ...flags], "inherit", env)));
    if (code !== 0) throw new Failure(`wrangler ended with code ${code}: its output above says why, and the deployment before is still there.`);
    return deployedIn(readFileSync(report, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Entry {
  type?: string;
  version_id?: string | null;
  targets?: string[];
}

/** Returns the version and the first address in wrangler's report of a deployment. */
function deployedIn(report: string): Deployed {
  const entries = report.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Entry);
  const deployment = entries.findLast(({ type }) => type === "deploy");
  // Also listed: routes with a pattern, and schedules.
  const hosts = (deployment?.targets ?? []).map((target) => target.replace(/ \(custom domain\)$/, ""));
  const found = hosts.find((target) => /^(?:https?:\/\/)?[\w.-]+\.[\w.-]+(?::\d+)?$/.test(target));
  const url = found === undefined || found.includes("://") ? found : `https://${found}`;
  return { versionId: deployment?.version_id ?? undefined, url };
}
