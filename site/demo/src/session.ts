// Tokens from the app's own backend, which takes the user from the signed-in session (a cookie). The backend of `make dev`
// trusts the name that it is sent.
import { type GetToken, ValetkeyError } from "../../../clients/web/src/index.ts";
import { TokenProblem } from "./problem.ts";

const SESSION_TIMEOUT_MS = 15_000;

/** Returns a `getToken` that sends `POST {"sub":"…"}` to `url` and expects `{"token":"<JWT>"}`. */
export function sessionTokens(url: string, subject: () => string): GetToken {
  return async () => {
    let answer: Response;
    try {
      answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sub: subject() }),
        cache: "no-store",
        credentials: "include",
        redirect: "error",
        signal: AbortSignal.timeout(SESSION_TIMEOUT_MS),
      });
    } catch (cause) {
      // The code `network` makes the client retry.
      throw new ValetkeyError("network", "The app's backend did not respond.", {}, new TokenProblem("no_session", { cause }));
    }
    const body: { token?: unknown } = await answer.json().catch(() => ({}));
    if (answer.ok && typeof body.token === "string") return body.token;
    throw new ValetkeyError("no_token", "The app's backend returned no token.", { status: answer.status }, new TokenProblem("no_session"));
  };
}
