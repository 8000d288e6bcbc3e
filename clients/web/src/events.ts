// A prediction as it changes: read from its event stream, or by looking where no stream can be had.
import { ValetkeyError } from "./errors.ts";
import { backoffMs, mayRepeat, reasonOf, sleep } from "./retry.ts";
import type { Prediction } from "./schema.ts";
import { eventParser } from "./sse.ts";
import { type CallOptions, explain, NO_ANSWER, type Transport } from "./transport.ts";

/** The API sends a comment every 15 s: a stream that is silent for longer than two of them is dead. */
const SILENCE_MS = 35_000;
const OPEN_MS = 20_000;
/** How long it may fail until nobody is there: a lift, a tunnel, a change of networks. Time that a device slept is none of it. */
const PATIENCE_MS = 180_000;
/** What a failure adds to that at the most. */
const LONGEST_GAP_MS = 60_000;
const FIRST_LOOK_MS = 1_000;
const MAX_LOOK_MS = 5_000;
/** For each prediction that is looked at: forty looks a minute for all of them together leave room in a minute of sixty requests. */
const SHARE_MS = 1_500;
/** How often to look until a stream is asked for again, where there were too many. */
const LOOKS_BEFORE_STREAM = 8;

export function hasEnded({ status }: Prediction): boolean {
  return /^(succeeded|failed|canceled)$/.test(status);
}

/**
 * Yields the present state, then each change, and ends after the last. A connection that is lost is opened again where it was
 * left (`Last-Event-ID`), also with a new token. Rejects when the API refuses, or when nobody answered for three minutes.
 */
export async function* watch(transport: Transport, path: string, { signal }: CallOptions): AsyncGenerator<Prediction, void, undefined> {
  const place = {};
  try {
    yield* follow(transport, path, signal, place);
  } finally {
    transport.lookers.delete(place);
  }
}

async function* follow(transport: Transport, path: string, signal: AbortSignal | undefined, place: object): AsyncGenerator<Prediction, void, undefined> {
  let streamsFrom = transport.canStream ? 0 : Infinity;
  let lastId: string | undefined;
  let seen = "";
  let failures = 0;
  let failedMs = 0;
  let failedAt = 0;
  for (let rounds = 0; ; rounds += 1) {
    const looks = rounds < streamsFrom;
    transport.lookers[looks ? "add" : "delete"](place);
    let delayMs = Math.max(Math.min(MAX_LOOK_MS, FIRST_LOOK_MS * 1.3 ** rounds), SHARE_MS * transport.lookers.size);
    let isOffline = false;
    try {
      for await (const { prediction, id } of looks ? look(transport, path, signal) : stream(transport, path, lastId, signal)) {
        failures = 0;
        if (prediction === undefined) continue;
        lastId = id ?? lastId;
        const text = JSON.stringify(prediction);
        if (text !== seen) yield prediction;
        seen = text;
        if (signal?.aborted) throw reasonOf(signal);
        if (hasEnded(prediction)) return;
      }
      // The stream ends after five minutes and with its token: the next one goes on.
    } catch (error) {
      const now = performance.now();
      failedMs = failures === 0 ? 0 : failedMs + Math.min(LONGEST_GAP_MS, now - failedAt);
      failedAt = now;
      failures += 1;
      if (!(error instanceof ValetkeyError) || !mayRepeat(error, true, transport.longestWaitSecs) || failedMs >= PATIENCE_MS) throw error;
      // Four streams are open already, or something on the way keeps streams back: look instead.
      if (error.status === 429) streamsFrom = Math.max(streamsFrom, rounds + LOOKS_BEFORE_STREAM);
      if (error.code === "timeout") streamsFrom = Infinity;
      isOffline = error.retryAfterSecs === undefined;
      delayMs = backoffMs(failures, Math.random(), error.retryAfterSecs);
    }
    await sleep(delayMs, signal, isOffline);
  }
}

/** Something came: a state of the prediction, or a sign of life. */
interface Heard {
  prediction?: Prediction;
  id?: string;
}

async function* look({ send }: Transport, path: string, signal: AbortSignal | undefined): AsyncGenerator<Heard> {
  yield { prediction: await send<Prediction>("GET", path, { signal }) };
}

async function* stream({ open }: Transport, path: string, lastId: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<Heard> {
  const headers = { accept: "text/event-stream", "last-event-id": lastId };
  const { answer, limit } = await open({ method: "GET", path: `${path}/events`, headers, signal, timeoutMs: OPEN_MS });
  try {
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) throw new SyntaxError();
    // Where a wrapped `fetch` cannot stream: look instead.
    if (!answer.body) throw new ValetkeyError("timeout", NO_ANSWER);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    const parse = eventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // While the caller is busy with what we yield, nobody is late.
      limit.restart();
      const text = decoder.decode(value, { stream: true });
      // A comment is a sign of life; what is not understood is none.
      if (/^:/m.test(text)) yield {};
      for (const { type, data, id } of parse(text)) {
        if (type === "status") yield { prediction: JSON.parse(data), id };
      }
      limit.restart(SILENCE_MS);
    }
  } catch (thrown) {
    throw explain(thrown, limit, signal);
  } finally {
    limit.end();
  }
}
