// A client of the operator's API (docs/contract.md), with what the commands need of it.
import { jsonOf } from "../bounded.ts";
import { Failure, messageOf } from "../failure.ts";

/** A service token of Cloudflare Access, by the names that wrangler reads too. */
export const ACCESS_ID = "CLOUDFLARE_ACCESS_CLIENT_ID";
export const ACCESS_SECRET = "CLOUDFLARE_ACCESS_CLIENT_SECRET";
/** How long one request may take. */
const REQUEST_TIMEOUT_MS = 10_000;
/** The most bytes of a response. A state with all that it may list has a tenth of that. */
const RESPONSE_MAX_BYTES = 1024 * 1024;

/** A version of the Worker, as Cloudflare names it. Null where the Worker has no binding of its version. */
interface VersionName {
  id: string | null;
  tag: string | null;
}

/** `GET /admin/api/state`: the members that the commands read. */
export interface State {
  time: string;
  version: { edge: VersionName; dispatcher: VersionName };
  vendor_key: { fingerprint: string; health: string; since: string | null };
  rotation: Rotation;
  keys_by_version: { version_id: string; fingerprint: string; migrations: Migrations }[];
  migrations: Migrations & { breaking: number; breaking_ledger: number };
  slots: { total: number; in_use: number; unknown: number };
  submitting: number;
  queue: { waiting: number; max_waiting: number };
  requests: { per_minute: number; remaining: number };
  unknown_outcomes: { job_id: string; model: string; since: string; slot_ends_at: string }[];
  pauses: { id: string; model: string | null; ends_at: string }[];
  today: { day: string; credits: string; predictions?: number; daily_credits: string | null };
  alerts?: { time: string; alert: string; detail: string | null }[];
}

/** The newest migration of each kind of object. */
interface Migrations {
  dispatcher: number;
  ledger: number;
}

export interface Rotation {
  state: "none" | "checking" | "refused" | "draining" | "safe_to_revoke";
  fingerprint: string | null;
  since: string | null;
  jobs_of_old_key: number;
}

export interface Lease {
  id: string;
  ends_at: string;
}

/** The gateway refused a request of the operator's. */
export class Refusal extends Failure {
  readonly status: number;
  readonly code: string;

  constructor(message: string, status: number, code: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class AdminApi {
  readonly url: string;
  readonly #getToken: () => Promise<string>;
  readonly #headers: Record<string, string>;

  /** `headers` are sent with each request, for what is in front of the gateway. */
  constructor(url: string, getToken: () => Promise<string>, headers: Record<string, string> = {}) {
    this.url = url;
    this.#getToken = getToken;
    this.#headers = headers;
  }

  /** Returns the state of the gateway. */
  async state(): Promise<State> {
    return (await this.#send("GET", "state")) as State;
  }

  /** Pauses all creates for so many seconds. With `id`, renews that pause. */
  async pause(seconds: number, id?: string): Promise<Lease> {
    return (await this.#send("POST", "pause", { for_secs: seconds, ...(id !== undefined && { id }) })) as Lease;
  }

  /** Ends a pause, if it has not ended by itself. */
  async resume(id: string): Promise<void> {
    await this.#send("POST", "resume", { id });
  }

  /**
   * Sends a request. Throws {@link Refusal} if the gateway refuses it, and a failure if there is no response, or one of
   * something else. A redirect is not followed: no response of the gateway is one.
   */
  async #send(method: string, name: string, body?: object): Promise<unknown> {
    const address = `${this.url}/admin/api/${name}`;
    const headers = { ...this.#headers, authorization: `Bearer ${await this.#getToken()}`, ...(body !== undefined && { "content-type": "application/json" }) };
    const init: RequestInit = { method, headers, redirect: "manual", signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) };
    if (body !== undefined) init.body = JSON.stringify(body);
    let response: Response;
    try {
      response = await fetch(address, init);
    } catch (thrown) {
      throw new Failure(`No response from ${address} (${messageOf(thrown)}).`);
    }
    const answer = await jsonOf(response, RESPONSE_MAX_BYTES);
    if (response.status === 204) return undefined;
    if (response.ok && typeof answer === "object" && answer !== null) return answer;
    const code = (answer as { error?: { code?: unknown } } | null | undefined)?.error?.code;
    if (response.ok || typeof code !== "string") throw notTheGateway(address, response);
    throw new Refusal(`${address} has status ${response.status}: ${code}.`, response.status, code);
  }
}

function notTheGateway(address: string, { status, headers }: Response): Failure {
  const target = headers.get("location");
  const host = target !== null && URL.canParse(target) ? ` and leads to ${new URL(target).host}` : "";
  return new Failure(
    `${address} has status ${status}${host}, and is no answer of the gateway. If Cloudflare Access guards /admin, set ${ACCESS_ID} and ${ACCESS_SECRET} (docs/operate.md); ` +
      "else look whether the address is right.",
  );
}
