// Finds out why a page never got a response: its origin is refused, or the deployment cannot be reached. Loaded by
// transport.ts after the last attempt failed.
import { ValetkeyError } from "./errors.ts";
import { deadline } from "./retry.ts";
import { FETCH_RULES, type Fetch } from "./transport.ts";

const PROBE_MS = 5_000;

/**
 * Returns the error that says what to do about `error`, a failure of the network. It is `error` itself if the page can
 * reach `base`, is offline, or is a page of `base`, and where there is no page.
 */
export async function diagnosed(error: ValetkeyError, base: string, fetcher: Fetch): Promise<ValetkeyError> {
  const { location, navigator }: { location?: Partial<Location>; navigator?: Partial<Navigator> } = globalThis;
  const origin = location?.origin;
  if (origin === undefined || base === "" || origin === new URL(base).origin || navigator?.onLine === false) return error;
  const probe = async (mode: RequestMode): Promise<boolean> => {
    const limit = deadline(PROBE_MS, undefined);
    // A browser fails a `no-cors` request that may not follow redirects. The request carries no token.
    const rules: RequestInit = { ...FETCH_RULES, mode, redirect: "follow", signal: limit.signal };
    try {
      return await limit.race(fetcher(`${base}/healthz`, rules).then(() => true));
    } catch {
      return false;
    } finally {
      limit.end();
    }
  };
  const [isAllowed, isUp] = await Promise.all([probe("cors"), probe("no-cors")]);
  if (isAllowed) return error;
  const [code, message] = isUp
    ? (["origin_not_allowed", `${base} refuses pages of ${origin}: add ${origin} to its ALLOWED_ORIGINS.`] as const)
    : (["unreachable", `No response from ${base}. Check the address and the network, and that its ALLOWED_ORIGINS has ${origin}.`] as const);
  return new ValetkeyError(code, message, { ...error }, error.cause);
}
