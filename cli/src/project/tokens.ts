// Tokens for one's own deployment: the issuer `valetkey-cli` signs those of users, `valetkey-operator` those of an operator.
import { SignJWT } from "jose";
import { Failure } from "../failure.ts";
import { type Project, SECRETS_FILE } from "./folder.ts";
import { CLI_SECRET, OPERATOR_SECRET, readSecrets } from "./secrets.ts";

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

/**
 * The issuer of tokens that operate the gateway, and cannot create predictions. Its secret is its own, so that it can be where
 * only deployments are made, and `valetkey token` cannot sign its tokens.
 */
const OPERATOR_ISSUER = "valetkey-operator";
const OPERATOR_AUDIENCE = "valetkey-admin";
const OPERATOR = "operator";
const OPERATOR_MINUTES = 2;

/** Returns the entry of ISSUERS for tokens of an operator. */
export function operatorIssuer(): object {
  return {
    issuer: OPERATOR_ISSUER,
    audience: [OPERATOR_AUDIENCE],
    keys: { secret: OPERATOR_SECRET },
    algorithms: ["HS256"],
    use: ["admin"],
    max_lifetime_secs: OPERATOR_MINUTES * 60,
    admins: { [OPERATOR]: ["read", "write"] },
  };
}

export interface TokenOptions {
  subject: string;
  minutes: number;
  plan?: string | undefined;
  scopes?: string[] | undefined;
}

/** Returns a token for `options.subject`. Throws if the gateway has no issuer `valetkey-cli`, or its secret is not here. */
export async function signToken(project: Project, issuers: unknown, options: TokenOptions): Promise<string> {
  const signer = findSigner(project, issuers, CLI_SECRET);
  if (signer === undefined) {
    throw new Failure(`ISSUERS has no entry with the secret ${CLI_SECRET}, so tokens come from your own backend or identity provider only.`);
  }
  if (signer.secret === undefined) throw new Failure(`${CLI_SECRET} is missing: put it into ${SECRETS_FILE}, or into the environment.`);
  return sign({ ...signer, secret: signer.secret }, options);
}

/** Returns what signs tokens of an operator, if the gateway has an issuer `valetkey-operator` and its secret is here. */
export function operatorTokens(project: Project, issuers: unknown): (() => Promise<string>) | undefined {
  const signer = findSigner(project, issuers, OPERATOR_SECRET);
  const secret = signer?.secret;
  return signer === undefined || secret === undefined ? undefined : () => sign({ ...signer, secret }, { subject: OPERATOR, minutes: OPERATOR_MINUTES });
}

interface Issuer {
  issuer?: unknown;
  audience?: unknown;
  keys?: { secret?: unknown };
}

interface Signer {
  issuer: string;
  audience: string;
  secret: string | undefined;
}

/** Returns the entry of ISSUERS that has the secret of this name, and the secret if it is here. */
function findSigner(project: Project, issuers: unknown, secretName: string): Signer | undefined {
  const entry = (Array.isArray(issuers) ? (issuers as (Issuer | null)[]) : []).find((issuer) => issuer?.keys?.secret === secretName);
  const issuer = entry?.issuer;
  const audience: unknown = Array.isArray(entry?.audience) ? entry.audience[0] : undefined;
  if (typeof issuer !== "string" || typeof audience !== "string") return undefined;
  return { issuer, audience, secret: readSecrets(project, [secretName])[secretName] };
}

function sign({ issuer, audience, secret }: Signer & { secret: string }, { subject, minutes, plan, scopes }: TokenOptions): Promise<string> {
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
