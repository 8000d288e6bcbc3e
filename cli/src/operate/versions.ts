// The versions of the Worker at Cloudflare, by wrangler. Secrets belong to a version.
import { Failure } from "../failure.ts";
import type { Project } from "../project/folder.ts";
import { runWrangler, runWranglerWithInput } from "../project/wrangler.ts";

/** The update of the objects right after a deployment, for use in a pause. */
export const IMMEDIATE = ["--durable-objects-code-update-mode", "immediate"];

export interface Version {
  id: string;
  message: string | undefined;
}

interface Deployment {
  versions: { version_id: string; percentage: number }[];
}

/** A version with what it was uploaded with. */
interface Details {
  resources: { bindings: { type: string; name: string; text?: string }[] };
}

/** What wrangler says of a Worker that was never deployed: the API's code, or its own sentence. */
const NOT_DEPLOYED = /code: 10007|has no deployments/;

/** Returns the version that is deployed, or undefined for a new Worker. */
export async function deployedVersion(project: Project): Promise<string | undefined> {
  const { code, stdout, output } = await runWrangler(project, ["deployments", "status", "--json"]);
  if (code !== 0 && NOT_DEPLOYED.test(output)) return undefined;
  return onlyVersion(read<Deployment>("deployments status", { code, stdout, output }));
}

/** Returns the version that was deployed before the present one, if there is one among the last ten deployments. */
export async function versionBefore(project: Project, present: string): Promise<string | undefined> {
  const deployments = read<Deployment[]>("deployments list", await runWrangler(project, ["deployments", "list", "--json"]));
  // wrangler sorts them by time.
  return deployments.flatMap(({ versions }) => (versions.length === 1 ? versions.map(({ version_id }) => version_id) : [])).findLast((id) => id !== present);
}

/** Returns the version that was uploaded last. It need not be deployed. */
export async function latestVersion(project: Project): Promise<Version> {
  const versions = read<{ id: string; annotations?: Record<string, string> }[]>("versions list", await runWrangler(project, ["versions", "list", "--json"]));
  const last = versions.at(-1);
  if (last === undefined) throw new Failure("The Worker has no version yet: deploy it first.");
  return { id: last.id, message: last.annotations?.["workers/message"] };
}

/** Makes a version that is the latest one with other secrets; null deletes one. They go through a pipe. Deploys nothing. */
export async function patchSecrets(project: Project, secrets: Record<string, string | null>, message: string): Promise<void> {
  const { code, output } = await runWranglerWithInput(project, ["versions", "secret", "bulk", "--message", message], JSON.stringify(secrets));
  if (code !== 0) throw failed("versions secret bulk", code, output);
}

/** Sends all traffic to a version. `flags` say when the objects are updated. */
export async function deployVersion(project: Project, id: string, flags: string[], message: string): Promise<void> {
  const { code, output } = await runWrangler(project, ["versions", "deploy", `${id}@100%`, "-y", "--message", message, ...flags]);
  if (code !== 0) throw failed("versions deploy", code, output);
}

/** Returns a variable of a version, if it has it. */
export async function variableOf(project: Project, id: string, name: string): Promise<string | undefined> {
  const version = read<Details>("versions view", await runWrangler(project, ["versions", "view", id, "--json"]));
  return version.resources.bindings.find((binding) => binding.type === "plain_text" && binding.name === name)?.text;
}

function onlyVersion({ versions }: Deployment): string {
  const [version, ...others] = versions;
  if (version === undefined || others.length > 0) {
    throw new Failure("Several versions share the traffic: end that gradual deployment first, with `npx --no-install wrangler versions deploy VERSION@100%`.");
  }
  return version.version_id;
}

function read<T>(command: string, { code, stdout, output }: { code: number; stdout: string; output: string }): T {
  if (code !== 0) throw failed(command, code, output);
  try {
    // Above it may be notes, such as one about a proxy.
    return JSON.parse(stdout.slice(stdout.search(/^[[{]/m))) as T;
  } catch {
    throw failed(command, code, output);
  }
}

function failed(command: string, code: number, output: string): Failure {
  console.error(output.trim());
  return new Failure(`\`wrangler ${command}\` ended with code ${code}: its output above says why.`);
}
