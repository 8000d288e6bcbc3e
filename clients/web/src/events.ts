// Follows a prediction as it changes: reads its event stream, or polls where no stream is available.
import { ValetkeyError } from "./errors.ts";
import { backoffMs, mayRepeat, reasonOf, sleep } from "./retry.ts";
import type { Prediction } from "./schema.ts";
import { eventParser } from "./sse.ts";
import { explain, identified, NO_ANSWER, type Result, type Transport } from "./transport.ts";

/** The API sends a heartbeat comment every 15 s. A stream that is silent for more than two heartbeats is dead. */
const SILENCE_MS = 35_000;
/** Time limit for opening a stream. */
const OPEN_MS = 20_000;
/**
 * Give up after failing for this long. It covers an elevator, a tunnel, or a change of networks. Time that the device
 * slept does not count; see `LONGEST_GAP_MS`.
 */
const PATIENCE_MS = 180_000;
/**
 * The most that one failure adds to the failing time. A longer gap between two failures means that the device slept.
 */
const LONGEST_GAP_MS = 60_000;
/** First and longest poll interval. */
const FIRST_LOOK_MS = 1_000;
const MAX_LOOK_MS = 5_000;
/**
 * The poll interval is at least this long for each prediction that is polled. All of them together make at most 40
 * polls a minute, which leaves room within a limit of 60 requests a minute.
 */
const SHARE_MS = 1_500;
/** After a 429, poll this many times before requesting a stream again. */
const LOOKS_BEFORE_STREAM = 8;

/** Returns true if the prediction is in a final state: succeeded, failed or canceled. */
export function hasEnded(prediction: Prediction): boolean {
  return /^(succeeded|failed|canceled)$/.test(prediction?.status);
}

/**
 * Yields the current state, then each change, and returns after the final state. Reopens a lost connection where it
 * stopped (`Last-Event-ID`), with a new token if necessary. Throws if the API refuses, or after three minutes of
 * failures.
 */
export async function* watch(transport: Transport, path: string, signal: AbortSignal | undefined): AsyncGenerator<Result<Prediction>, void, undefined> {
  const place = {};
  try {
    yield* follow(transport, path, signal, place);
  } finally {
    transport.lookers.delete(place);
  }
}

async function* follow(transport: Transport, path: string, signal: AbortSignal | undefined, place: object): AsyncGenerator<Result<Prediction>, void, undefined> {
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
      // The API closes a stream after five minutes, or when its token expires. The next round opens another.
    } catch (error) {
      const now = performance.now();
      failedMs = failures === 0 ? 0 : failedMs + Math.min(LONGEST_GAP_MS, now - failedAt);
      failedAt = now;
      failures += 1;
      if (!(error instanceof ValetkeyError) || !mayRepeat(error, true, transport.longestWaitSecs) || failedMs >= PATIENCE_MS) throw error;
      // A 429 means that four streams are open or a rate limit is reached: poll for a while. A time-out means that
      // something in between, such as a proxy, holds the stream back: poll from now on.
      if (error.status === 429) streamsFrom = Math.max(streamsFrom, rounds + LOOKS_BEFORE_STREAM);
      if (error.code === "timeout") streamsFrom = Infinity;
      isOffline = error.retryAfterSecs === undefined;
      delayMs = backoffMs(failures, Math.random(), error.retryAfterSecs);
    }
    await sleep(delayMs, signal, isOffline);
  }
}

/** Something received: a state of the prediction, or, without one, a heartbeat. */
interface Heard {
  prediction?: Result<Prediction>;
  id?: string;
}

/** Polls once. */
async function* look({ send }: Transport, path: string, signal: AbortSignal | undefined): AsyncGenerator<Heard> {
  yield { prediction: await send<Result<Prediction>>("GET", path, { signal }) };
}

/** Opens the event stream and yields what it sends, until the server closes it. */
async function* stream({ open }: Transport, path: string, lastId: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<Heard> {
  const headers = { accept: "text/event-stream", "last-event-id": lastId };
  const { answer, limit } = await open({ method: "GET", path: `${path}/events`, headers, signal, timeoutMs: OPEN_MS });
  try {
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) throw new SyntaxError();
    // A wrapped `fetch` that cannot stream. `follow` polls after the code `timeout`.
    if (!answer.body) throw new ValetkeyError("timeout", NO_ANSWER);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    const parse = eventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // Stop the silence timer: time that the consumer spends on a yielded event is not silence of the server.
      limit.restart();
      const text = decoder.decode(value, { stream: true });
      // Only a comment counts as a heartbeat. Bytes that are not understood do not.
      if (/^:/m.test(text)) yield {};
      for (const { type, data, id } of parse(text)) {
        if (type === "status") yield { prediction: identified(JSON.parse(data), answer.headers.get("x-request-id")), id };
      }
      limit.restart(SILENCE_MS);
    }
  } catch (thrown) {
    throw explain(thrown, limit, signal);
  } finally {
    limit.end();
  }
}
