// The rotation of the vendor's key without losing a prediction (docs/deploy.md), for `valetkey rotate` and `make rotate`.
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, NothingDeployed } from "../failure.ts";
import type { Project } from "../project/folder.ts";
import { fingerprintOf } from "../project/keys.ts";
import { parserProblems } from "../project/parser.ts";
import { changeSecretsFile, readSecretsFile } from "../project/secrets.ts";
import { printable, whileShowing } from "../terminal.ts";
import type { AdminApi, Rotation } from "./admin.ts";
import { type CommandLine, ensureLogin } from "./deploy.ts";
import { type Gateway, requireAdmin } from "./gateway.ts";
import { LIMITS } from "./limits.ts";
import { rollOut } from "./rollout.ts";
import { deployedVersion, deployVersion, latestVersion, patchSecrets } from "./versions.ts";

const KEY = "DEEPCREATIVE_API_KEY";
/** The secret with the key to come. */
export const NEXT_KEY = "DEEPCREATIVE_API_KEY_NEXT";
/** How often the state is read until the vendor was asked about a new key. */
const CHECK_POLLS = 15;

/** Gives the gateway the key to come. It checks the key, and sends new predictions with it. */
export async function begin(gateway: Gateway, key: string, commandLine: CommandLine): Promise<void> {
  const admin = requireAdmin(gateway);
  const problem = parserProblems({ [NEXT_KEY]: key }, null).find(({ name }) => name === NEXT_KEY);
  if (problem !== undefined) throw new Failure(`The new key ${problem.problem}.`);
  const fingerprint = fingerprintOf(key);
  const { vendor_key, rotation } = await admin.state();
  if (vendor_key.fingerprint === fingerprint) throw new Failure("This is the key that is in use: make a new one at the vendor first.");
  if (rotation.fingerprint !== null && rotation.fingerprint !== fingerprint && rotation.state !== "refused") {
    throw new Failure(`A rotation to another key is under way (fingerprint ${rotation.fingerprint}): finish it first.`);
  }
  if (isHere(gateway.project, KEY, vendor_key.fingerprint)) changeSecretsFile(gateway.project, { [NEXT_KEY]: key });
  if (rotation.fingerprint !== fingerprint) {
    await setSecrets(gateway, admin, { [NEXT_KEY]: key }, `valetkey rotate begin ${fingerprint}`, commandLine);
  }
  const checked = await checkedRotation(admin);
  if (checked.state === "refused") throw new Failure(describe(checked));
  console.log(printable(describe(checked)));
}

/** Returns the rotation once the vendor was asked about the new key, or after some seconds. */
async function checkedRotation(admin: AdminApi): Promise<Rotation> {
  for (let left = CHECK_POLLS; ; left -= 1) {
    const { rotation } = await admin.state();
    if (left === 0 || !["none", "checking"].includes(rotation.state)) return rotation;
    await sleep(LIMITS.pollEveryMs);
  }
}

/** Makes the key to come the only one, once no prediction needs the old one. */
export async function finish(gateway: Gateway, key: string, isForced: boolean, commandLine: CommandLine): Promise<void> {
  const admin = requireAdmin(gateway);
  const fingerprint = fingerprintOf(key);
  const { vendor_key, rotation } = await admin.state();
  if (vendor_key.fingerprint !== fingerprint) {
    if (rotation.fingerprint !== fingerprint) throw new Failure(`The new key here (fingerprint ${fingerprint}) is not the one of the rotation: begin it first.`);
    if (rotation.state !== "safe_to_revoke") warnOrRefuse(rotation, isForced);
    await setSecrets(gateway, admin, { [KEY]: key, [NEXT_KEY]: null }, `valetkey rotate finish ${fingerprint}`, commandLine);
  }
  const { project } = gateway;
  const isKept = isHere(project, NEXT_KEY, fingerprint) || isHere(project, KEY, fingerprint);
  if (isKept) changeSecretsFile(project, { [KEY]: key, [NEXT_KEY]: null });
  const elsewhere = isKept ? "" : ` Wherever ${KEY} is set, such as in the secrets of your CI, replace it by the new key, and remove ${NEXT_KEY}.`;
  console.log(`The key ${fingerprint} is the only one now.${elsewhere} Revoke the old key at the vendor.`);
}

function warnOrRefuse(rotation: Rotation, isForced: boolean): void {
  const consequence = "predictions of the old key that still run are then polled with the new one, and end as upstream_lost if the vendor does not show them to it";
  if (!isForced) throw new Failure(`${describe(rotation)} Nothing was changed. --force finishes it all the same: ${consequence}.`);
  console.error(`Warning: ${consequence}.`);
}

/** Returns a sentence about a rotation. */
export function describe({ state, fingerprint, since, jobs_of_old_key: jobs }: Rotation): string {
  const next = `the new key (fingerprint ${fingerprint ?? "unknown"})`;
  const when = since === null ? "" : ` since ${since}`;
  switch (state) {
    case "none":
      return "The vendor key is not being rotated.";
    case "checking":
      return `Rotation${when}: ${next} is being checked at the vendor. New predictions go to the old one until then.`;
    case "refused":
      return `Rotation${when}: the vendor refuses ${next}, so everything stays with the old one. Begin again with a right key, in a --key-file.`;
    case "draining":
      return `Rotation${when}: new predictions go to ${next}; ${jobs} of the old key ${jobs === 1 ? "has" : "have"} not ended. Do not revoke the old key yet.`;
    case "safe_to_revoke":
      return `Rotation${when}: no prediction needs the old key any more. Finish the rotation, then revoke the old key.`;
  }
}

/** Returns whether .dev.vars has the key of this fingerprint: `deploy` uploads what is there, so it must not fall behind. */
function isHere(project: Project, name: string, fingerprint: string): boolean {
  const key = readSecretsFile(project)[name];
  return key !== undefined && fingerprintOf(key) === fingerprint;
}

/**
 * Deploys the present version with other secrets. After an interruption it continues with the version that it made: that has
 * `purpose` and the version below it in its message.
 */
async function setSecrets(gateway: Gateway, admin: AdminApi, secrets: Record<string, string | null>, purpose: string, commandLine: CommandLine): Promise<void> {
  const { project, url } = gateway;
  await ensureLogin(project);
  const [present, latest] = await whileShowing("Asking Cloudflare for the versions", () => Promise.all([deployedVersion(project), latestVersion(project)]));
  if (present === undefined) throw new Failure("Nothing is deployed yet: deploy first.");
  const message = `${purpose} on ${present}`;
  const isMade = latest.message === message;
  if (latest.id !== present && !isMade) {
    throw new Failure(`The latest version, ${latest.id}, is not the deployed one, ${present}, and secrets are changed in the latest: deploy it, or deploy again, and then repeat this.`);
  }
  const apply = async (flags: string[]) => {
    const versionId = isMade ? latest.id : await whileShowing("Making a version with the new secrets", () => makeVersion(project, secrets, message));
    // The version has the code of the one below it: a deployment since would be undone.
    const now = await deployedVersion(project);
    if (now !== present) throw new NothingDeployed(`Somebody deployed ${now ?? "nothing"} at the same time, so the secrets were not deployed. Repeat this.`);
    await whileShowing(`Deploying ${versionId}`, () => deployVersion(project, versionId, flags, purpose));
    return { versionId, url };
  };
  await rollOut(admin, { apply, wayBack: commandLine(`rollback ${present} --with-old-secrets`) });
}

async function makeVersion(project: Project, secrets: Record<string, string | null>, message: string): Promise<string> {
  await patchSecrets(project, secrets, message);
  const made = await latestVersion(project);
  if (made.message !== message) throw new NothingDeployed(`Somebody uploaded another version, ${made.id}, at the same time: nothing was deployed. Repeat this.`);
  return made.id;
}
