// Which failures the client retries, and after which delay.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ValetkeyError } from "../src/errors.ts";
import { backoffMs, deadline, mayRepeat as mayRepeatWithin, sleep } from "../src/retry.ts";

test("delays grow, are bounded, and are never shorter than a Retry-After", () => {
  for (const random of [0, 0.5, 0.999]) {
    for (let tries = 1; tries < 40; tries += 1) {
      const delay = backoffMs(tries, random);
      assert.ok(delay >= 250 && delay <= 8_000, `${tries}: ${delay}`);
      assert.ok(backoffMs(tries + 1, random) >= delay);
      const told = backoffMs(tries, random, 20);
      assert.ok(told >= 20_000 && told <= 24_000, `${tries}: ${told}`);
    }
  }
  assert.ok(backoffMs(1, 0.9, 10) > backoffMs(1, 0.1, 10), "clients refused at the same time return at different times");
});

const REFUSED = ["rate_limited", "too_many_predictions", "queue_full", "limiter_unavailable", "upstream_unavailable"];
const UNKNOWN = ["network", "timeout", "idempotency_in_progress", "upstream_error", "upstream_timeout"];
const FINAL = [
  "invalid_json", "invalid_parameter", "missing_token", "invalid_token", "insufficient_credits", "insufficient_permissions", "file_limit_reached", "origin_not_allowed",
  "not_found", "not_ended", "body_too_large", "idempotency_mismatch", "upstream_rejected", "misconfigured", "no_token", "canceled", "a_new_code",
];

/** `mayRepeat` with a longest wait of 60 s. */
const mayRepeat = (error, isRepeatable) => mayRepeatWithin(error, isRepeatable, 60);

test("a Retry-After above the longest wait is never waited for", () => {
  for (const code of [...REFUSED, ...UNKNOWN]) {
    assert.equal(mayRepeat(new ValetkeyError(code, "", { retryAfterSecs: 60 }), true), true, code);
    assert.equal(mayRepeat(new ValetkeyError(code, "", { retryAfterSecs: 61 }), true), false, code);
  }
});

test("a refused request is retried even if it is not repeatable", () => {
  for (const code of REFUSED) for (const isRepeatable of [true, false]) assert.equal(mayRepeat(new ValetkeyError(code, ""), isRepeatable), true, code);
});

test("a request that may have arrived is retried only if it is repeatable", () => {
  for (const code of UNKNOWN) {
    assert.equal(mayRepeat(new ValetkeyError(code, ""), true), true, code);
    assert.equal(mayRepeat(new ValetkeyError(code, ""), false), false, code);
    assert.equal(mayRepeat(new ValetkeyError(code, "", { jobId: "pred_1" }), true), false, `${code} with a prediction`);
  }
});

test("a final error is not retried", () => {
  for (const code of FINAL) assert.equal(mayRepeat(new ValetkeyError(code, ""), true), false, code);
});

test("an unreadable response is retried unless its status is final", () => {
  const may = (status) => mayRepeat(new ValetkeyError("unreadable_answer", "", { status }), true);
  for (const status of [200, 429, 500, 502, 520, undefined]) assert.equal(may(status), true, String(status));
  for (const status of [400, 403, 404, 411]) assert.equal(may(status), false, String(status));
});

test("an aborted sleep rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error("gone");
  const waiting = sleep(60_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(sleep(60_000, controller.signal), (error) => error === reason, "a signal that has already aborted");
});

test("coming back online ends a sleep only with `wakesOnline`", async () => {
  const page = new EventTarget();
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page), removeEventListener: page.removeEventListener.bind(page) });
  try {
    const waiting = sleep(60_000, undefined, true);
    page.dispatchEvent(new Event("online"));
    await waiting;
    let isOver = false;
    const told = sleep(50, undefined).then(() => (isOver = true));
    page.dispatchEvent(new Event("online"));
    await Promise.resolve();
    assert.equal(isOver, false);
    await told;
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("a deadline distinguishes its time-out from the caller's abort", async () => {
  const late = deadline(5, undefined);
  await new Promise((resolve) => late.signal.addEventListener("abort", resolve));
  assert.equal(late.isOver(), true);

  const controller = new AbortController();
  const stopped = deadline(60_000, controller.signal);
  controller.abort("mine");
  assert.deepEqual([stopped.signal.aborted, stopped.signal.reason, stopped.isOver()], [true, "mine", false]);
  stopped.end();
  const before = deadline(60_000, AbortSignal.abort("before"));
  before.end();
  assert.equal(before.signal.reason, "before");
});

test("race rejects at once if the deadline is already over", async () => {
  const over = deadline(60_000, AbortSignal.abort("before"));
  await assert.rejects(over.race(new Promise(() => {})));
  over.end();
});
