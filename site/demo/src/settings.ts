// The settings of a deployment: demo/settings.json, which site/build.mjs writes.
import { ValetkeyError } from "../../../clients/web/src/index.ts";

const SETTINGS_PATH = "/demo/settings.json";

/**
 * Returns a function that reads `{"session_url":"…"}` on its first call and keeps it. After a failure the next call
 * reads again.
 */
export function sessionUrl(): () => Promise<string> {
  let known: string | undefined;
  return async () => (known ??= await read());
}

async function read(): Promise<string> {
  // A rejection of `fetch` is passed on: the client treats it as a network failure and retries.
  const answer = await fetch(SETTINGS_PATH);
  const settings: { session_url?: unknown } = await answer.json().catch(() => ({}));
  if (typeof settings.session_url === "string") return settings.session_url;
  throw new ValetkeyError("no_token", "demo/settings.json has no session_url.");
}
