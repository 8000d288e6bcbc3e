// Fetches access tokens from the app's own backend. A real backend takes the user from the signed-in session; the
// demo's backend trusts the name that it is sent.
import { type GetToken, ValetkeyError } from "../../../clients/web/src/index.ts";
import { BackendUnreachable } from "./problem.ts";

const SESSION_TIMEOUT_MS = 15_000;

/** Returns a `getToken` that sends `POST {"sub":"…"}` to `url` and expects `{"token":"<JWT>"}`. */
export function sessionTokens(url: () => Promise<string>, subject: () => string): GetToken {
  return async () => {
    const address = await url();
    let answer: Response;
    try {
      answer = await fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sub: subject() }),
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(SESSION_TIMEOUT_MS),
      });
    } catch (cause) {
      // The code `network` makes the client retry.
      throw new ValetkeyError("network", "The app's backend did not respond.", {}, new BackendUnreachable("", { cause }));
    }
    const body: { token?: unknown } = await answer.json().catch(() => ({}));
    if (answer.ok && typeof body.token === "string") return body.token;
    throw new ValetkeyError("no_token", "The app's backend returned no token.", { status: answer.status });
  };
}
