// What differs from deployment to deployment: demo/settings.json, which site/build.mjs writes.
import { ValetkeyError } from "../../../clients/web/src/index.ts";

const SETTINGS_PATH = "/demo/settings.json";

/** Reads `{"session_url":"…"}` when it is first asked, and again until it was there. */
export function sessionUrl(): () => Promise<string> {
  let known: string | undefined;
  return async () => (known ??= await read());
}

async function read(): Promise<string> {
  // What `fetch` rejects with is the network, which the client knows.
  const answer = await fetch(SETTINGS_PATH);
  const settings: { session_url?: unknown } = await answer.json().catch(() => ({}));
  if (typeof settings.session_url === "string") return settings.session_url;
  throw new ValetkeyError("no_token", "demo/settings.json names no session_url.");
}
