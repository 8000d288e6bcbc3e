// Tokens for one's own deployment, signed by the issuer `valetkey-cli`.
import { SignJWT } from "jose";
import { Failure } from "../failure.ts";
import { type Project, SECRETS_FILE } from "./folder.ts";
import { CLI_SECRET, readSecrets } from "./secrets.ts";

/** The name of the issuer that `create` adds. */
export const CLI_ISSUER = "valetkey-cli";
/** The audience of its tokens. */
export const CLI_AUDIENCE = "valetkey";
/** The longest lifetime of its tokens, in minutes. */
export const CLI_MINUTES_MAX = 60;

/** Returns the entry of ISSUERS for tokens of this tool. */
export function cliIssuer(): object {
  return {
    issuer: CLI_ISSUER,
    audience: [CLI_AUDIENCE],
    keys: { secret: CLI_SECRET },
    algorithms: ["HS256"],
    max_lifetime_secs: CLI_MINUTES_MAX * 60,
  };
}

export interface TokenOptions {
  subject: string;
  minutes: number;
  plan?: string | undefined;
  scopes?: string[] | undefined;
}

interface Issuer {
  issuer?: unknown;
  audience?: unknown;
  keys?: { secret?: unknown };
}

/** Returns a token for `options.subject`. Throws if the gateway has no issuer `valetkey-cli`, or its secret is not here. */
export async function signToken(project: Project, issuers: unknown, options: TokenOptions): Promise<string> {
  const entry = (Array.isArray(issuers) ? (issuers as (Issuer | null)[]) : []).find((issuer) => issuer?.keys?.secret === CLI_SECRET);
  const issuer = entry?.issuer;
  const audience: unknown = Array.isArray(entry?.audience) ? entry.audience[0] : undefined;
  if (typeof issuer !== "string" || typeof audience !== "string") {
    throw new Failure(`ISSUERS has no entry with the secret ${CLI_SECRET}, so tokens come from your own backend or identity provider only.`);
  }
  const secret = readSecrets(project, [CLI_SECRET])[CLI_SECRET];
  if (secret === undefined) throw new Failure(`${CLI_SECRET} is missing: put it into ${SECRETS_FILE}, or into the environment.`);
  const { subject, minutes, plan, scopes } = options;
  const claims = { ...(plan !== undefined && { plan }), ...(scopes !== undefined && { vk: { scope: scopes } }) };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime(`${minutes}m`)
    .sign(new TextEncoder().encode(secret));
}
