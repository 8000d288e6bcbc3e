// A client of the operator's API (docs/contract.md), with what the commands need of it.
import { Failure, messageOf } from "../failure.ts";

/** How long one request may take. */
const REQUEST_TIMEOUT_MS = 10_000;

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

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export class AdminApi {
  readonly url: string;
  readonly #getToken: () => Promise<string>;

  constructor(url: string, getToken: () => Promise<string>) {
    this.url = url;
    this.#getToken = getToken;
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

  /** Sends a request. Throws {@link Refusal} if the gateway refuses it, and a failure if there is no response. */
  async #send(method: string, name: string, body?: object): Promise<unknown> {
    const path = `/admin/api/${name}`;
    const headers = { authorization: `Bearer ${await this.#getToken()}`, ...(body !== undefined && { "content-type": "application/json" }) };
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) };
    if (body !== undefined) init.body = JSON.stringify(body);
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.url}${path}`, init);
      text = await response.text();
    } catch (thrown) {
      throw new Failure(`No response from ${this.url}${path} (${messageOf(thrown)}).`);
    }
    if (!response.ok) throw new Refusal(`${this.url}${path} has status ${response.status}${reasonIn(text)}.`, response.status);
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** Returns the code of an error, as `: code`. */
function reasonIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown } };
    return typeof error?.code === "string" ? `: ${error.code}` : "";
  } catch {
    return "";
  }
}
