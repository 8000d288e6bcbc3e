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
 * only deployments are made.
 */
const OPERATOR_ISSUER = "valetkey-operator";
const OPERATOR_AUDIENCE = "valetkey-admin";
const OPERATOR = "operator";
/** The longest lifetime of its tokens, in minutes: a person signs in at the operator's page with one. */
const OPERATOR_MINUTES_MAX = 15;
/** The lifetime of the tokens that the commands sign for themselves, one for each request. */
const COMMAND_MINUTES = 2;

/** Returns the entry of ISSUERS for tokens of an operator. */
export function operatorIssuer(): object {
  return {
    issuer: OPERATOR_ISSUER,
    audience: [OPERATOR_AUDIENCE],
    keys: { secret: OPERATOR_SECRET },
    algorithms: ["HS256"],
    use: ["admin"],
    max_lifetime_secs: OPERATOR_MINUTES_MAX * 60,
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
  return signer === undefined || secret === undefined ? undefined : () => sign({ ...signer, secret }, { subject: OPERATOR, minutes: COMMAND_MINUTES });
}

/**
 * Returns a token for a person who operates the gateway: by default the one that `create` named, for as long as the issuer allows, 15 minutes
 * at most. Throws if the gateway has no such issuer or operator, or if the secret is not here.
 */
export async function signOperatorToken(project: Project, issuers: unknown, { name = OPERATOR, minutes }: { name?: string | undefined; minutes?: number | undefined }): Promise<string> {
  const signer = findSigner(project, issuers, OPERATOR_SECRET);
  if (signer === undefined) {
    throw new Failure(`ISSUERS has no entry with the secret ${OPERATOR_SECRET}, so operators' tokens come from your own identity provider only (docs/cli.md).`);
  }
  if (signer.secret === undefined) throw new Failure(`${OPERATOR_SECRET} is missing: put it into ${SECRETS_FILE}, or into the environment.`);
  if (!signer.admins.includes(name)) throw new Failure(`The issuer ${signer.issuer} has no operator ${JSON.stringify(name)}: name one of ${signer.admins.join(", ") || "its admins, which are none"}.`);
  const most = Math.min(OPERATOR_MINUTES_MAX, Math.floor(signer.maxLifetimeSecs / 60));
  if (minutes !== undefined && minutes > most) throw new Failure(`The issuer ${signer.issuer} allows ${most} minutes: lower --minutes, or raise max_lifetime_secs in ISSUERS to 900 at most and deploy.`);
  return sign({ ...signer, secret: signer.secret }, { subject: name, minutes: minutes ?? most });
}

interface Issuer {
  issuer?: unknown;
  audience?: unknown;
  keys?: { secret?: unknown };
  max_lifetime_secs?: unknown;
  admins?: unknown;
}

interface Signer {
  issuer: string;
  audience: string;
  secret: string | undefined;
  maxLifetimeSecs: number;
  /** The names of its operators. */
  admins: string[];
}

/** The Worker's default (docs/settings.md). */
const DEFAULT_LIFETIME_SECS = 900;

/** Returns the entry of ISSUERS that has the secret of this name, and the secret if it is here. */
function findSigner(project: Project, issuers: unknown, secretName: string): Signer | undefined {
  const entry = (Array.isArray(issuers) ? (issuers as (Issuer | null)[]) : []).find((issuer) => issuer?.keys?.secret === secretName);
  const issuer = entry?.issuer;
  const audience: unknown = Array.isArray(entry?.audience) ? entry.audience[0] : undefined;
  if (typeof issuer !== "string" || typeof audience !== "string") return undefined;
  const { max_lifetime_secs: maxLifetimeSecs = DEFAULT_LIFETIME_SECS, admins = {} } = entry ?? {};
  return {
    issuer,
    audience,
    secret: readSecrets(project, [secretName])[secretName],
    maxLifetimeSecs: Number(maxLifetimeSecs),
    admins: typeof admins === "object" && admins !== null ? Object.keys(admins) : [],
  };
}

function sign({ issuer, audience, secret }: Pick<Signer, "issuer" | "audience"> & { secret: string }, { subject, minutes, plan, scopes }: TokenOptions): Promise<string> {
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
