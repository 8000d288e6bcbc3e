// Tokens that a test signs itself, with another lifetime, age or plan than those of the simulator's `/session`.
import { createHmac } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs a token with the stack's `session`: its issuer, audience and secret. */
export function signToken({ SESSION_ISSUER: iss, SESSION_AUDIENCE: aud, SESSION_SECRET }, { lifetimeSecs = 300, ageSecs = 0, ...claims }) {
  const iat = Math.floor(Date.now() / 1000) - ageSecs;
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ iss, aud, iat, exp: iat + lifetimeSecs, ...claims })}`;
  return `${signed}.${createHmac("sha256", SESSION_SECRET).update(signed).digest("base64url")}`;
}

/**
 * Intercepts `/session` for every page of `context`, so that each token has `claims`: an object, or a function that
 * gets the number of tokens issued before. Returns the array of issued tokens, which grows.
 */
export async function signFor(context, { session }, claims) {
  const given = [];
  await context.route((url) => url.pathname === "/session", (route) => {
    const request = route.request();
    const headers = {
      "access-control-allow-origin": request.headers()["origin"],
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": "content-type",
    };
    if (request.method() !== "POST") return route.fulfill({ status: 204, headers });
    const own = typeof claims === "function" ? claims(given.length) : claims;
    given.push(signToken(session, { sub: request.postDataJSON().sub, ...own }));
    return route.fulfill({ status: 200, headers, json: { token: given.at(-1) } });
  });
  return given;
}
