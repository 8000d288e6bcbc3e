// A gateway as the commands for operators see it: the folder that wrangler runs in, its address, and who may operate it.
import { Failure, messageOf } from "../failure.ts";
import { notedDeployment, safeOrigin } from "../project/addresses.ts";
import type { Project } from "../project/folder.ts";
import { OPERATOR_SECRET } from "../project/secrets.ts";
import { operatorTokens } from "../project/tokens.ts";
import { ACCESS_ID, ACCESS_SECRET, AdminApi, Refusal } from "./admin.ts";
import { JURISDICTION } from "./jurisdiction.ts";

/** An operator's token from elsewhere, such as an identity provider. */
export const OPERATOR_TOKEN = "VALETKEY_OPERATOR_TOKEN";

export interface Gateway {
  project: Project;
  /** Undefined until the first deployment, and in CI without PUBLIC_URL. */
  url: string | undefined;
  /** Undefined if nobody here may operate the gateway. */
  admin: AdminApi | undefined;
  /** The jurisdiction of the settings here. */
  jurisdiction: string | undefined;
}

/** Returns the gateway of a folder: at `url`, else at PUBLIC_URL of its settings, else where it was last deployed. */
export function gatewayOf(project: Project, settings: Record<string, unknown>, url?: string): Gateway {
  const address = addressOf(project, settings, url);
  const given = secretOf(OPERATOR_TOKEN);
  const getToken = given ? (): Promise<string> => Promise.resolve(given) : operatorTokens(project, settings["ISSUERS"]);
  const admin = address === undefined || getToken === undefined ? undefined : new AdminApi(address, getToken, accessHeaders());
  const jurisdiction = settings[JURISDICTION];
  return { project, url: address, admin, jurisdiction: typeof jurisdiction === "string" ? jurisdiction : undefined };
}

/** Returns a secret of the environment that is sent as a header. An error of `fetch` about a wrong one would print it. */
function secretOf(name: string): string | undefined {
  const secret = process.env[name]?.trim();
  if (!secret) return undefined;
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new Failure(`${name} has blanks, line ends or characters that no token has: set it again.`);
  return secret;
}

/** Returns the headers of a service token, with which Cloudflare Access lets a machine pass. The gateway takes no notice of it. */
function accessHeaders(): Record<string, string> {
  const [id, secret] = [secretOf(ACCESS_ID), secretOf(ACCESS_SECRET)];
  return id === undefined || secret === undefined ? {} : { "cf-access-client-id": id, "cf-access-client-secret": secret };
}

function addressOf(project: Project, settings: Record<string, unknown>, url: string | undefined): string | undefined {
  if (url !== undefined) return safeOrigin(url, "--url");
  const own = settings["PUBLIC_URL"];
  return typeof own === "string" ? safeOrigin(own, "PUBLIC_URL") : notedDeployment(project)?.url;
}

const HOW_TO_OPERATE = `set ${OPERATOR_SECRET} for the issuer valetkey-operator of ISSUERS, or ${OPERATOR_TOKEN} (docs/cli.md)`;
const HOW_TO_FIND = "name it with --url, or set PUBLIC_URL";

/** Returns the operator's API. Throws if there is no operator's token, or no address. */
export function requireAdmin({ url, admin }: Gateway): AdminApi {
  if (admin !== undefined) return admin;
  if (url === undefined) throw new Failure(`The gateway's address is not known: ${HOW_TO_FIND}.`);
  throw new Failure(`This needs an operator's token: ${HOW_TO_OPERATE}.`);
}

/** What keeps an update of the objects from losing a prediction. */
export interface Quiet {
  /** The operator's API of a gateway that it can pause. */
  admin: AdminApi | undefined;
  /** True if nothing is sent anyway. */
  isIdle: boolean;
}

/** No pause. */
export const NOT_QUIET: Quiet = { admin: undefined, isIdle: false };

/**
 * Returns how the deployed gateway is kept quiet. If it cannot be, warns: the platform then updates the objects when it wants to.
 * With wrong settings it sends nothing, and could not be paused: the way back must not depend on it.
 */
export async function findPause({ url, admin }: Gateway): Promise<Quiet> {
  if (admin === undefined) return notPaused(url === undefined ? `its address is not known: ${HOW_TO_FIND}` : `there is no operator's token: ${HOW_TO_OPERATE}`);
  try {
    await admin.state();
    return { admin, isIdle: false };
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw notReached(thrown);
    if (thrown.status === 404) return notPaused("the deployed version has no operator's API, or no issuer of operators");
    if (thrown.code !== "misconfigured") throw notReached(thrown);
    console.error("The deployed version refuses its settings, so it sends nothing, and is not paused.");
    return { admin: undefined, isIdle: true };
  }
}

function notReached(thrown: unknown): Failure {
  return new Failure(`${messageOf(thrown)} Creates cannot be paused, and nothing was changed: --no-pause goes on all the same.`);
}

function notPaused(reason: string): Quiet {
  console.error(`Warning: creates are not paused, because ${reason}. Predictions that are being sent when Cloudflare updates the objects, within 300 s, end as outcome_unknown.`);
  return NOT_QUIET;
}
