// Tokens come from the app's own backend, which knows who signed in. This one believes the name that it is told.
import { type GetToken, ValetkeyError } from "../../../clients/web/src/index.ts";
import { BackendUnreachable } from "./problem.ts";

const SESSION_TIMEOUT_MS = 15_000;

/** A `getToken` that asks `url`, which answers `POST {"sub":"…"}` with `{"token":"<JWT>"}`. */
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
      // `network`, so that the client tries again.
      throw new ValetkeyError("network", "The app's backend did not answer.", {}, new BackendUnreachable("", { cause }));
    }
    const body: { token?: unknown } = await answer.json().catch(() => ({}));
    if (answer.ok && typeof body.token === "string") return body.token;
    throw new ValetkeyError("no_token", "The app's backend gave no token.", { status: answer.status });
  };
}
