// The way back to an earlier version, for `valetkey rollback` and `make rollback`.
import { Failure, messageOf } from "../failure.ts";
import { whileShowing } from "../terminal.ts";
import { type AdminApi, type State } from "./admin.ts";
import { type CommandLine, ensureLogin } from "./deploy.ts";
import { findPause, type Gateway, NOT_QUIET } from "./gateway.ts";
import { jurisdictionOf, refuseOtherJurisdiction } from "./jurisdiction.ts";
import { rollOut } from "./rollout.ts";
import { deployedVersion, deployVersion, versionBefore } from "./versions.ts";

export interface RollbackOptions {
  /** True: the version may have another vendor key, or an unknown one. */
  takesOldSecrets: boolean;
  pauses: boolean;
  commandLine: CommandLine;
}

/**
 * Deploys an earlier version: `wanted`, or the one before the present. Returns its id.
 *
 * Never by `wrangler rollback`, which in CI goes past changed secrets without a word.
 */
export async function rollBack(gateway: Gateway, wanted: string | undefined, options: RollbackOptions): Promise<string> {
  const { project, url } = gateway;
  const { takesOldSecrets, pauses, commandLine } = options;
  await ensureLogin(project);
  const [present, target] = await whileShowing("Asking Cloudflare for the versions", async () => {
    const present = await deployedVersion(project);
    if (present === undefined) throw new Failure("Nothing is deployed yet.");
    return [present, wanted ?? (await versionBefore(project, present))] as const;
  });
  if (target === undefined) throw new Failure("None of the last ten deployments had another version: name one, as `npx --no-install wrangler versions list` shows it.");
  if (target === present) throw new Failure(`${target} is what is deployed.`);
  await refuseOtherJurisdiction(project, present, await jurisdictionOf(project, target));
  const { admin, isIdle } = pauses ? await findPause(gateway) : NOT_QUIET;
  const refusal = await refusalOf(gateway.admin, target, takesOldSecrets);
  if (refusal !== undefined) throw new Failure(`${target} was not deployed: ${refusal}`);
  const apply = async (flags: string[]) => {
    await whileShowing(`Deploying ${target}`, () => deployVersion(project, target, flags, `valetkey rollback from ${present}`));
    return { versionId: target, url };
  };
  await rollOut(admin, { apply, wayBack: commandLine(`rollback ${present}`), isIdle });
  return target;
}

/** Returns why a version may not be deployed, if there is a reason. */
async function refusalOf(admin: AdminApi | undefined, target: string, takesOldSecrets: boolean): Promise<string | undefined> {
  const flag = "--with-old-secrets deploys it all the same";
  if (admin === undefined) return takesOldSecrets ? undefined : `without an operator's token nobody knows which vendor key it has. ${flag}.`;
  try {
    const state = await admin.state();
    return schemaRefusal(state, target) ?? (takesOldSecrets ? undefined : secretsRefusal(state, target, flag));
  } catch (thrown) {
    // A broken version is the first reason to go back.
    if (takesOldSecrets) return undefined;
    return `the gateway does not say which vendor key it has. ${messageOf(thrown)} ${flag}.`;
  }
}

/** A version brings its secrets back, and with them a vendor key that may be revoked. */
function secretsRefusal({ rotation, vendor_key, keys_by_version }: State, target: string, flag: string): string | undefined {
  if (rotation.state !== "none" && rotation.state !== "refused") {
    return `the vendor key is being rotated, and predictions of the new key may be lost. Finish the rotation first; ${flag}.`;
  }
  const known = keys_by_version.find(({ version_id }) => version_id === target);
  if (known === undefined) return `the gateway does not know which vendor key it has, because it never ran here. ${flag}.`;
  if (known.fingerprint === vendor_key.fingerprint) return undefined;
  return `it has another vendor key (fingerprint ${known.fingerprint}, now ${vendor_key.fingerprint}), which may be revoked. ${flag}.`;
}

/** A breaking migration is one that an earlier build refuses: the objects would answer 503 to everything. */
function schemaRefusal({ migrations, keys_by_version }: State, target: string): string | undefined {
  const { dispatcher, ledger } = keys_by_version.find(({ version_id }) => version_id === target)?.migrations ?? { dispatcher: 0, ledger: 0 };
  if (migrations.breaking <= dispatcher && migrations.breaking_ledger <= ledger) return undefined;
  return "the storage was changed since in a way that it cannot read. Deploy a newer version instead.";
}
