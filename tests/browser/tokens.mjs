// Tokens that a test signs itself: of another lifetime or plan than those of the simulator's `/session`.
import { createHmac } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** `session` is the stack's: who signs, for whom, with what. */
export function signToken({ SESSION_ISSUER: iss, SESSION_AUDIENCE: aud, SESSION_SECRET }, { lifetimeSecs = 300, ageSecs = 0, ...claims }) {
  const iat = Math.floor(Date.now() / 1000) - ageSecs;
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ iss, aud, iat, exp: iat + lifetimeSecs, ...claims })}`;
  return `${signed}.${createHmac("sha256", SESSION_SECRET).update(signed).digest("base64url")}`;
}

/**
 * Has the app's backend sign with these claims for every page of `context`, whoever asks; `claims` may be a function of how many tokens
 * were given before. Returns the list of the tokens that were given, which grows.
 */
export async function signFor(context, { session }, claims) {
  const given = [];
  const headers = { "access-control-allow-origin": "*", "access-control-allow-headers": "content-type" };
  await context.route((url) => url.pathname === "/session", (route) => {
    const request = route.request();
    if (request.method() !== "POST") return route.fulfill({ status: 204, headers });
    const own = typeof claims === "function" ? claims(given.length) : claims;
    given.push(signToken(session, { sub: request.postDataJSON().sub, ...own }));
    return route.fulfill({ status: 200, headers, json: { token: given.at(-1) } });
  });
  return given;
}
