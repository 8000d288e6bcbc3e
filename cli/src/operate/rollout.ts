// A change of what is deployed: pause, wait until nothing is being sent, change, wait until the new version answers, resume.
import { setTimeout as sleep } from "node:timers/promises";
import { bytesOf } from "../bounded.ts";
import { Failure, messageOf, NothingDeployed } from "../failure.ts";
import { Progress } from "../terminal.ts";
import { type AdminApi, Refusal } from "./admin.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { whilePaused } from "./pause.ts";
import { IMMEDIATE } from "./versions.ts";

/** The most bytes of what `/readyz` says. */
const READYZ_MAX_BYTES = 64 * 1024;

/** What is deployed after a change, as far as it is known. */
export interface Deployed {
  versionId: string | undefined;
  url: string | undefined;
}

export interface Change {
  /** Makes the change. `flags` tell wrangler when to update the objects. */
  apply(flags: string[]): Promise<Deployed>;
  /** The command that undoes it, for the case that it fails. */
  wayBack: string | undefined;
  /** True if nothing is sent anyway: the objects are updated at once without a pause. */
  isIdle?: boolean;
}

/**
 * Makes a change, in a pause if `admin` is given. Returns once the new version answers. A failure after the change began is
 * printed with the way back.
 */
export async function rollOut(admin: AdminApi | undefined, { apply, wayBack, isIdle = false }: Change, limits: Limits = LIMITS): Promise<Deployed> {
  const change = async (flags: string[], signal?: AbortSignal): Promise<Deployed> => {
    try {
      const deployed = await apply(flags);
      signal?.throwIfAborted();
      await waitForArrival(admin, deployed, signal, limits);
      return deployed;
    } catch (thrown) {
      if (wayBack !== undefined && !(thrown instanceof NothingDeployed)) console.error(`\nThe way back to what was deployed before:\n\n  ${wayBack}`);
      throw thrown;
    }
  };
  return admin === undefined ? change(isIdle ? IMMEDIATE : []) : whilePaused(admin, (signal) => change(IMMEDIATE, signal), limits);
}

/** Waits until `/readyz` is 200, and edge and Dispatcher report the version. */
async function waitForArrival(admin: AdminApi | undefined, { url, versionId }: Deployed, signal: AbortSignal | undefined, limits: Limits): Promise<void> {
  const address = admin?.url ?? url;
  if (address === undefined) return;
  const progress = new Progress(`Waiting for ${address}/readyz`);
  const until = Date.now() + limits.arrivalWaitMs;
  let missing: string | undefined;
  do {
    missing = (await notReady(address)) ?? (admin && versionId !== undefined ? await notArrived(admin, versionId) : undefined);
    if (missing === undefined) return progress.end();
    await sleep(limits.pollEveryMs, undefined, signal && { signal });
  } while (Date.now() < until);
  progress.end("Not ready");
  throw new Failure(`The deployment is not ready after ${limits.arrivalWaitMs / 1_000} s (${missing}): correct what it names and deploy again.`);
}

/** Returns what `/readyz` says, unless it is 200. */
async function notReady(address: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${address}/readyz`, { signal: AbortSignal.timeout(10_000) });
    if (response.ok) return void (await response.body?.cancel());
    const text = (await bytesOf(response, READYZ_MAX_BYTES))?.toString() ?? "";
    return `status ${response.status}: ${text.slice(0, 2_000)}`;
  } catch (thrown) {
    // A new name on workers.dev may need some seconds.
    return `no response: ${messageOf(thrown)}`;
  }
}

/** Returns which part runs another version, if one does. */
async function notArrived(admin: AdminApi, versionId: string): Promise<string | undefined> {
  try {
    const { version } = await admin.state();
    if (version.edge.id !== versionId) return "the edge answers with another version";
    return version.dispatcher.id === versionId ? undefined : "the Dispatcher runs another version";
  } catch (thrown) {
    // A version without operator's API, or without an issuer of operators, cannot say which it is.
    return thrown instanceof Refusal && thrown.status === 404 ? undefined : messageOf(thrown);
  }
}
