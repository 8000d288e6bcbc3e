// What differs from deployment to deployment: demo/settings.json, which site/build.mjs writes.
import { Problem, toProblem } from "./problem.ts";
import type { SessionSettings } from "./session.ts";

const SETTINGS_PATH = "/demo/settings.json";
const SUBJECT_KEY = "valetkey-demo-subject";
const SUBJECT = /^demo-[0-9a-f]{16}$/;

/** Reads `{"session_url":"…"}`: where the app's own backend hands out tokens. */
export async function loadSettings(fetcher: typeof fetch): Promise<SessionSettings> {
  let settings: unknown;
  try {
    settings = await (await fetcher(SETTINGS_PATH)).json();
  } catch (thrown) {
    // No JSON means no settings; anything else is the network.
    throw thrown instanceof SyntaxError ? new Problem("no_session") : toProblem(thrown, navigator.onLine);
  }
  const url = typeof settings === "object" && settings !== null && "session_url" in settings ? settings.session_url : undefined;
  if (typeof url !== "string") throw new Problem("no_session");
  return { sessionUrl: url, subject: tabSubject(() => sessionStorage) };
}

/**
 * The name under which this tab asks for tokens: random, and kept for the tab's life so that a reload finds the same
 * limits. It is not a secret. A real app has no such thing: its backend knows who signed in.
 */
export function tabSubject(storage: () => Storage): string {
  const fresh = `demo-${randomHex(8)}`;
  try {
    const store = storage();
    const known = store.getItem(SUBJECT_KEY);
    if (known !== null && SUBJECT.test(known)) return known;
    store.setItem(SUBJECT_KEY, fresh);
  } catch {
    // Storage can be switched off; then a reload is somebody new.
  }
  return fresh;
}

/** Not `randomUUID`: a phone that opens a development server by its address lacks it. */
export function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
