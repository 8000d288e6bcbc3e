// `valetkey/server`: an endpoint of the app's own backend that signs an access token for the signed-in user. It needs the
// package `jose`.
import { importJWK, type JWK, SignJWT } from "jose";

/** How long a token is valid. Its issuer's `max_lifetime_secs` has to allow that. */
const LIFETIME = "5m";
/** The shortest secret that Valetkey accepts for HS256. */
const SECRET_BYTES = 32;

/** The user whom a token is for, with what the token restricts. */
export interface TokenUser {
  /** The app's own id of the user: 1 to 255 characters. */
  sub: string | number;
  /** A plan of `POLICY`. Default: the plan `default`. */
  plan?: string | undefined;
  /** What the token may do. Default: everything. */
  scope?: ("create" | "read" | "cancel" | "files")[] | undefined;
  /** The models that the token may use, `owner/model`. Default: those of the plan. */
  models?: string[] | undefined;
}

export interface TokenHandlerOptions<Context extends unknown[]> {
  /**
   * The text that the secret of the `ISSUERS` entry has, at least 32 bytes: `openssl rand -base64 48`. May be absent while
   * an app is built, but not when the first request comes.
   */
  secret?: string | undefined;
  /** Instead of `secret`: a private key as a JWK, or its JSON. Valetkey gets the public one. */
  key?: JWK | string | undefined;
  /** `issuer` of the `ISSUERS` entry. */
  issuer: string;
  /** One of the `audience`s of the `ISSUERS` entry. */
  audience: string;
  /**
   * Returns the id of the signed-in user, or the user with restrictions; `null` if nobody is signed in. Take it from the
   * session, never from what the request claims. `context` is what the framework passes beside the request.
   */
  user: (request: Request, ...context: Context) => MaybePromise<string | number | TokenUser | null | undefined>;
}

type MaybePromise<T> = T | Promise<T>;
type Signer = (token: SignJWT) => Promise<string>;

/**
 * Returns a handler that responds with `{"token":"…"}`: 200, or 401 if `user` returns null. The response is never cached.
 * Throws at once if an option is wrong or the secret is weak. Without a secret and a key the handler responds with 500
 * and says so in the log, because frameworks load routes while they build, without secrets.
 */
export function tokenHandler<Context extends unknown[] = []>(
  options: TokenHandlerOptions<Context>,
): (request: Request, ...context: Context) => Promise<Response> {
  const { issuer, audience, user } = options;
  for (const [name, value] of Object.entries({ issuer, audience })) refuse(typeof value !== "string" || value === "", name, "must be a text");
  refuse(typeof user !== "function", "user", "must be a function");
  const sign = signerOf(options);
  let isReported = false;

  return async (request, ...context) => {
    if (sign === undefined) {
      if (!isReported) console.error("valetkey: tokenHandler has neither a secret nor a key, so nobody gets a token. Set the environment variable that it reads.");
      isReported = true;
      return respond(500, { error: "not_configured" });
    }
    const found = await user(request, ...context);
    if (found === null || found === undefined) return respond(401, { error: "signed_out" });
    const { sub, ...claims } = claimsOf(found);
    const token = new SignJWT(claims).setIssuer(issuer).setAudience(audience).setSubject(sub).setJti(crypto.randomUUID());
    return respond(200, { token: await sign(token.setIssuedAt().setExpirationTime(LIFETIME)) });
  };
}

/**
 * Returns the user as Valetkey's events and its operator's API name it (`user`): 64 hexadecimal characters. `issuer` is that of
 * the `ISSUERS` entry, and `sub` the one of the user's tokens. Store it beside the user, to find who an event is about.
 */
export async function userKey(issuer: string, sub: string | number): Promise<string> {
  const encoder = new TextEncoder();
  const [from, to] = [encoder.encode(issuer), encoder.encode(String(sub))];
  const bytes = new Uint8Array(4 + from.length + to.length);
  // The length keeps ("a", "bc") and ("ab", "c") apart.
  new DataView(bytes.buffer).setUint32(0, from.length);
  bytes.set(from, 4);
  bytes.set(to, 4 + from.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function respond(status: number, body: object): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}

function signerOf({ secret, key }: { secret?: string | undefined; key?: JWK | string | undefined }): Signer | undefined {
  refuse(Boolean(secret && key), "key", "must be absent beside `secret`");
  if (key) return keySigner(typeof key === "string" ? parsed(key) : key);
  return secret ? secretSigner(secret) : undefined;
}

/** A secret is refused here for the same reasons as by Valetkey, whose signatures would not be these otherwise. */
function secretSigner(secret: string): Signer {
  refuse(typeof secret !== "string", "secret", "must be a text");
  const bytes = new TextEncoder().encode(secret);
  refuse(bytes.length < SECRET_BYTES, "secret", `has ${bytes.length} bytes and needs ${SECRET_BYTES}: openssl rand -base64 48`);
  refuse(secret.trim() !== secret, "secret", "has white space at its start or end");
  refuse(/^\{|-----BEGIN/.test(secret), "secret", "must be plain text: pass a JWK as `key`");
  return (token) => token.setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(bytes);
}

function keySigner(key: JWK): Signer {
  const alg = key.alg ?? { Ed25519: "EdDSA", "P-256": "ES256", "P-384": "ES384" }[key.crv ?? ""] ?? "RS256";
  refuse(key.d === undefined, "key", "must be a private key, as a JWK");
  const imported = importJWK(key, alg);
  // The first request reports it.
  imported.catch(() => {});
  return async (token) => token.setProtectedHeader({ alg, typ: "JWT", ...(key.kid !== undefined && { kid: key.kid }) }).sign(await imported);
}

function parsed(key: string): JWK {
  try {
    return Object(JSON.parse(key));
  } catch {
    // Not the parser's own error: it quotes the key.
    throw new TypeError("valetkey: `key` is not the JSON of a JWK.");
  }
}

/** Returns the claims of a user. Throws if they would not mean what the app says, such as a restriction that is misspelled. */
function claimsOf(found: string | number | TokenUser): { sub: string; plan?: string; vk?: object } {
  const { sub, plan, scope, models, ...unknown }: TokenUser = typeof found === "object" ? found : { sub: found };
  const id = Number.isSafeInteger(sub) ? String(sub) : sub;
  refuse(typeof id !== "string" || !/^.{1,255}$/su.test(id) || id.trim() !== id, "user", "must return an id of 1 to 255 characters");
  refuse(Object.keys(unknown).length > 0, "user", `must return sub, plan, scope and models, and nothing like ${Object.keys(unknown).join(", ")}`);
  // Only what is absent restricts nothing. An empty list or text goes to Valetkey, which refuses it.
  const isRestricted = scope != null || models != null;
  return { sub: id as string, ...(plan != null && { plan }), ...(isRestricted && { vk: { ...(scope != null && { scope }), ...(models != null && { models }) } }) };
}

function refuse(isWrong: boolean, name: string, why: string): void {
  if (isWrong) throw new TypeError(`valetkey: \`${name}\` ${why}.`);
}
