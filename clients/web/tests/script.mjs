// A client whose API responses are scripted. Delays between retries are recorded instead of waited for.
import { valetkey } from "../src/index.ts";

export const JOB = "pred_01jh0000000000000000000000";
export const MODEL = "black-forest-labs/flux-kontext-max";

const now = Math.floor(Date.now() / 1000);
export const jwt = (claims = {}) => `e30.${Buffer.from(JSON.stringify({ iat: now, exp: now + 300, ...claims })).toString("base64url")}.c2ln`;

export const prediction = (members = {}) => ({ job_id: JOB, status: "processing", model: MODEL, output: [], error: null, ...members });

export const answer = (status, body, headers = {}) =>
  new Response(body === undefined || status === 204 ? null : JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });

export const refusal = (status, code, { headers, ...details } = {}) =>
  answer(status, { error: { type: "t", message: "m", code, request_id: "req_1", details } }, headers);

/**
 * Returns a response with an event stream. Each of `pieces` is a chunk of text, or an `Error` that breaks the stream.
 */
export function streamed(...pieces) {
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else if (piece instanceof Error) controller.error(piece);
      else controller.enqueue(new TextEncoder().encode(piece));
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

export const status = (id, members) => `event: status\nid: ${id}\ndata: ${JSON.stringify(prediction(members))}\n\n`;

/** Fails as `fetch` does when there is no network. */
export const offline = () => {
  throw new TypeError("fetch failed");
};

/**
 * The client's time limits for requests, streams and uploads, ms. Any other timer is a delay before a retry or a poll.
 */
const LIMITS_MS = [20_000, 35_000, 55_000, 900_000];

/**
 * Runs `use` with a client whose requests are answered by `steps` in turn, each a `Response` or a function that returns
 * one. Returns the requests, the delays in ms, and the number of tokens. Fails if a step is left over or a request has
 * no step. A time limit of `over` ms expires almost at once.
 */
export async function scripted(steps, use, { over, ...options } = {}) {
  const requests = [];
  const waits = [];
  const tooMany = [];
  let tokens = 0;
  const client = valetkey({
    baseUrl: "https://valetkey.test",
    getToken: () => jwt({ jti: `${(tokens += 1)}` }),
    fetch: async (url, init) => {
      const { method, headers, body } = init;
      requests.push({ method, path: url.replace("https://valetkey.test", ""), headers, body, init });
      const step = steps.shift();
      // The client treats an error thrown here as a network failure, so the end of `scripted` reports it.
      if (step === undefined) tooMany.push(`one request too many: ${method} ${url}`);
      if (step === undefined) throw new Error(tooMany.at(-1));
      return typeof step === "function" ? step(init) : step;
    },
    ...options,
  });
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (call, ms, ...rest) => {
    if (ms === over) return real(call, 20, ...rest);
    if (LIMITS_MS.includes(ms)) return real(call, ms, ...rest);
    waits.push(ms);
    return real(call, 0, ...rest);
  };
  try {
    const result = await use(client);
    if (steps.length > 0) throw new Error(`${steps.length} steps were not used`);
    return { result, requests, waits, tokens };
  } finally {
    globalThis.setTimeout = real;
    if (tooMany.length > 0) throw new Error(tooMany.join("; "));
  }
}
