// Requests of the operator's API.

/** A request may take this long, milliseconds. */
const TIMEOUT_MS = 15_000;

interface Details {
  status?: number | undefined;
  requestId?: string | undefined;
  retryAfterSecs?: number | undefined;
  param?: string | undefined;
}

/**
 * Why a request failed. `code` is the API's, or one of the page's: `network`, `signed_out`,
 * `session_ended`, `unreadable_answer`, `page_error`.
 */
export class ApiProblem extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterSecs: number | undefined;
  /** The name of the value that was not accepted. */
  readonly param: string | undefined;

  constructor(code: string, { status, requestId, retryAfterSecs, param }: Details = {}) {
    super(code);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfterSecs = retryAfterSecs;
    this.param = param;
  }
}

/** Returns a thrown value as a problem. Any other than a failed request is a bug of this page. */
export function asProblem(thrown: unknown): ApiProblem {
  if (thrown instanceof ApiProblem) return thrown;
  console.error(thrown);
  return new ApiProblem("page_error");
}

/** Returns true if the operator has to sign in. */
export function needsSignIn({ code, status }: ApiProblem): boolean {
  return status === 401 || code === "signed_out";
}

type Fetch = (path: string, init: RequestInit) => Promise<Response>;

export class Api {
  readonly #fetch: Fetch;
  /** The operator's token: here, and nowhere else. Without one the request has only what Cloudflare Access adds. */
  #token: string | undefined;
  /** Counts the operators. What was asked for one is not shown to the next. */
  #session = 0;

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  get hasToken(): boolean {
    return this.#token !== undefined;
  }

  /** Takes a token; `undefined` forgets the one before. */
  use(token: string | undefined): void {
    this.#token = token;
    this.#session += 1;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.#exchange("GET", path, (response) => response.json())) as T;
  }

  /** Sends a write. Returns the response's JSON, or `undefined` if it has none. */
  write(method: "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<unknown> {
    return this.#exchange(method, path, async (response) => (response.status === 204 ? undefined : response.json()), body);
  }

  async #exchange<T>(method: string, path: string, read: (response: Response) => Promise<T>, body?: object): Promise<T> {
    const session = this.#session;
    const result = await this.#send(method, path, body)
      .then((response) => read(response).catch(() => new ApiProblem("unreadable_answer", { status: response.status })))
      .catch((thrown: unknown) => (thrown instanceof ApiProblem ? thrown : new ApiProblem("network")));
    if (session !== this.#session) throw new ApiProblem("session_ended");
    if (result instanceof ApiProblem) throw result;
    return result;
  }

  async #send(method: string, path: string, body?: object): Promise<Response> {
    const headers: Record<string, string> = {};
    if (this.#token !== undefined) headers["authorization"] = `Bearer ${this.#token}`;
    // No form of another page can send it: with Access, the Worker takes writes only with it.
    if (method !== "GET") headers["x-valetkey-admin"] = "1";
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await this.#fetch(`/admin/api/${path}`, {
      method,
      headers,
      cache: "no-store",
      // Access redirects to its sign-in once its session has ended. Another origin's page is no answer.
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (response.type === "opaqueredirect") throw new ApiProblem("signed_out");
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const body = (await response.json().catch(() => undefined)) as { error?: { code?: unknown; details?: { param?: unknown } } } | undefined;
  const { code, details } = body?.error ?? {};
  const param = details?.param;
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  return new ApiProblem(typeof code === "string" ? code : "unreadable_answer", {
    status: response.status,
    requestId: response.headers.get("x-request-id") ?? undefined,
    retryAfterSecs: Number.isFinite(retryAfter) ? retryAfter : undefined,
    param: typeof param === "string" ? param : undefined,
  });
}
