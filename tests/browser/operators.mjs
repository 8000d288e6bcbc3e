// The operator's page: what the tests do on it, and an API of a few lines for the states that a real one reaches slowly.
// cases/operators_for_real.mjs has the real one.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { openRecorded } from "../support/browser.mjs";
import { startStack } from "../support/stack.mjs";
import { signToken } from "./tokens.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** How long something may take that needs no time. */
const SETTLE_MS = 5_000;

export const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib3NzIn0.c2lnbmF0dXJl";
export const NOW = "2026-11-30T19:42:10Z";
const TODAY = NOW.slice(0, 10);
export const userKey = (index) => index.toString(16).padStart(4, "0").repeat(16);

/** Returns an RFC 3339 time so many seconds from `NOW`. */
export const at = (seconds) => new Date(Date.parse(NOW) + seconds * 1_000).toISOString().replace(".000Z", "Z");
const dayOf = (ago) => new Date(Date.parse(NOW) - ago * 86_400_000).toISOString().slice(0, 10);

/** A deployment that nobody uses. */
export const EMPTY = {
  time: NOW,
  operator: { name: "boss@example.com", rights: ["read", "write"] },
  version: { edge: { id: null, tag: null }, dispatcher: { id: null, tag: null } },
  vendor_key: { fingerprint: "7d1a0c55e2b94f18", health: "ok", since: null },
  rotation: { state: "none", fingerprint: null, since: null, jobs_of_old_key: 0 },
  keys_by_version: [],
  slots: { total: 5, in_use: 0, unknown: 0 },
  submitting: 0,
  queue: { waiting: 0, max_waiting: 500 },
  requests: { per_minute: 60, remaining: 60 },
  unknown_outcomes: [],
  pauses: [],
  today: { day: TODAY, credits: "0", predictions: 0, daily_credits: null },
  alerts: [],
  dead_letters: 0,
  unreadable_rows: 0,
};

const VERSION = { id: "0b7f4a52-6c1e-4c8f-9d34-2b1a7a9f6e10", tag: "v0.9.0" };

/** An evening on which much happens. */
export const BUSY = {
  ...EMPTY,
  version: { edge: VERSION, dispatcher: VERSION },
  keys_by_version: [{ version_id: VERSION.id, fingerprint: EMPTY.vendor_key.fingerprint, seen_at: at(-86_400) }],
  slots: { total: 5, in_use: 5, unknown: 1 },
  submitting: 2,
  queue: { waiting: 1_207, max_waiting: 5_000 },
  requests: { per_minute: 60, remaining: 12 },
  unknown_outcomes: [{ job_id: "pred_01jh0000000000000000000000", model: "black-forest-labs/flux-kontext-max", user: userKey(7), since: at(-190), slot_ends_at: at(410) }],
  today: { day: TODAY, credits: "1482.75", predictions: 611, daily_credits: "2000" },
  alerts: [
    { time: at(-65), alert: "key_leak", detail: null },
    { time: at(-4_000), alert: "daily_credits_low", detail: "guest" },
  ],
};

export const PAUSED = {
  ...BUSY,
  pauses: [
    { id: "pause_01jh0000000000000000000000", model: null, started_at: at(-30), ends_at: at(90) },
    { id: "pause_01jh0000000000000000000001", model: "black-forest-labs/flux-kontext-max", started_at: at(-600), ends_at: at(2_400) },
  ],
};

export const DRAINING = {
  ...BUSY,
  rotation: { state: "draining", fingerprint: "f00dcafe12345678", since: at(-75), jobs_of_old_key: 3 },
};

/** Everything that can be wrong at once. */
export const BROKEN = {
  ...BUSY,
  dead_letters: 2,
  unreadable_rows: 1,
  vendor_key: { ...BUSY.vendor_key, health: "refused", since: at(-240) },
  rotation: { state: "refused", fingerprint: "f00dcafe12345678", since: at(-75), jobs_of_old_key: 0 },
  queue: { waiting: 5_000, max_waiting: 5_000 },
  today: { ...BUSY.today, credits: "2000" },
  unknown_outcomes: Array.from({ length: 12 }, (_, index) => ({ ...BUSY.unknown_outcomes[0], job_id: `pred_01jh00000000000000000000${index + 10}`, user: userKey(index) })),
};

const SPEND = Array.from({ length: 30 }, (_, index) => ({ day: dayOf(29 - index), credits: String(((index * 379) % 900) + index * 30 + 0.25), predictions: index }));
const REFUSALS = ["rate_limited", "too_many_predictions", "invalid_token", "insufficient_credits"].flatMap((code, kind) =>
  Array.from({ length: 8 }, (_, index) => ({ day: dayOf(index * 2), code, count: ((index + 2) * 37 * (kind + 1)) % 120 })));
const USERS = Array.from({ length: 25 }, (_, index) => ({ user: userKey(index + 1), credits: String((index * 61) % 97 + 0.5), predictions: index + 1 }));
const AUDIT = Array.from({ length: 45 }, (_, index) => ({
  id: 45 - index,
  time: at(-index * 1_900),
  issuer: "https://staff.example",
  operator: index % 3 === 0 ? "boss@example.com" : "somebody-on-duty@example.com",
  action: ["pause", "resume", "release", "revoke_user"][index % 4],
  target: ["pause_01jh0000000000000000000000", null, "pred_01jh0000000000000000000000", userKey(9)][index % 4],
  request_id: `req_01jh00000000000000000000${String(index).padStart(2, "0")}`,
  result: ["ok", "ok", "refused", "failed", null][index % 5],
}));

const STAFF = { issuer: "https://staff.example", audience: ["valetkey"], keys: { secret: "SESSION_SECRET" }, algorithms: ["HS256"], use: ["admin"] };

/** Starts a Worker with operators: `boss` may write, and `viewer` only read. */
export function startOperated() {
  const users = { issuer: "http://127.0.0.1/demo", audience: ["demo"], keys: { secret: "SESSION_SECRET" }, algorithms: ["HS256"] };
  const staff = { ...STAFF, admins: { boss: ["read", "write"], viewer: ["read"] } };
  return startStack({ settings: () => ({ ISSUERS: JSON.stringify([users, staff]) }) });
}

/** Returns a token of an operator of that Worker. */
export function operatorToken({ session }, sub) {
  return signToken({ ...session, SESSION_ISSUER: STAFF.issuer, SESSION_AUDIENCE: STAFF.audience[0] }, { sub });
}

/** Answers `/admin/api` in the place of the Worker. */
export class StandInApi {
  state = BUSY;
  spend = SPEND;
  refusals = REFUSALS;
  users = USERS;
  audit = AUDIT;
  /** Whether a user is found. */
  isKnown = true;
  /** Requests so far: `{method, path, headers, body}`. */
  requests = [];
  /** Answers instead of the usual ones, by "METHOD path": `{status, code, headers}`, or a function that returns one. */
  faults = new Map();
  #polls = 0;

  quiet() {
    Object.assign(this, { state: EMPTY, spend: [], refusals: [], users: [], audit: [] });
    return this;
  }

  /** What the page wrote. */
  get writes() {
    return this.requests.filter(({ method }) => method !== "GET").map(({ method, path, body }) => ({ method, path, body }));
  }

  async answer(route) {
    const request = route.request();
    const { pathname, search, searchParams } = new URL(request.url());
    const [method, path] = [request.method(), pathname.slice("/admin/api/".length)];
    this.requests.push({ method, path: path + search, headers: request.headers(), body: request.postDataJSON() });
    const fault = this.faults.get(`${method} ${path}`) ?? this.faults.get("*");
    const planned = typeof fault === "function" ? await fault() : fault;
    if (planned === "abort") return route.abort();
    if (planned !== undefined) {
      const { status, code = "limiter_unavailable", param, headers = {} } = planned;
      const error = { type: "api_error", message: "-", code, request_id: "req_of_this_test", details: { param } };
      return route.fulfill({ status, headers: { "x-request-id": "req_of_this_test", ...headers }, json: { error } });
    }
    if (method !== "GET") return this.#write(route, path);
    if (path === "state") return route.fulfill({ json: this.#stateNow() });
    if (path === "refusals") return route.fulfill({ json: { data: this.refusals } });
    if (path === "spend") return route.fulfill({ json: { data: searchParams.get("by") === "user" ? this.users : this.spend, next_cursor: null } });
    if (path.startsWith("users/")) return route.fulfill({ json: this.#export(path, searchParams.get("cursor")) });
    const before = Number(searchParams.get("cursor") ?? Infinity);
    const rows = this.audit.filter(({ id }) => id < before).slice(0, Number(searchParams.get("limit")));
    return route.fulfill({ json: { data: rows, next_cursor: rows.length === 20 ? String(rows.at(-1).id) : null } });
  }

  /** Time goes on with each poll, and so does the work. */
  #stateNow() {
    this.#polls += 1;
    const { slots, queue } = this.state;
    const waiting = Math.max(0, queue.waiting - ((this.#polls * 97) % 400));
    return { ...this.state, time: at(this.#polls * 4), slots: { ...slots, in_use: Math.max(0, slots.in_use - (this.#polls % 3)) }, queue: { ...queue, waiting } };
  }

  /** A page of predictions, and then one of files. */
  #export(path, cursor) {
    const page = { user: path.slice(6), predictions: [], files: [], usage: [], revocations: {}, override: null, next_cursor: null };
    if (cursor !== null) return { ...page, files: [{ file_id: "file_1" }] };
    return { ...page, predictions: [{ job_id: "pred_1", input: { prompt: "A secret garden" } }], next_cursor: "pred_1" };
  }

  #write(route, path) {
    if (path === "users/lookup") return route.fulfill({ json: { user: userKey(3), known: this.isKnown } });
    if (path === "pause") return route.fulfill({ json: { id: "pause_01jh0000000000000000000002", ends_at: at(600) } });
    return route.fulfill({ status: 204 });
  }
}

export class OperatorsPage {
  constructor({ context, page, recorder }, api) {
    this.context = context;
    this.page = page;
    this.recorder = recorder;
    this.api = api;
    this.token = page.getByRole("textbox", { name: "Operator’s token" });
    this.dialog = page.getByRole("dialog");
    this.announcement = page.getByRole("status");
    this.problems = page.locator("#problems");
    this.live = page.locator("#live");
  }

  /** Opens the page with a stand-in for its API. Timers are the test's: the page polls when the test says so. */
  static async open({ stack, browser }, { api = new StandInApi(), ...options } = {}) {
    const prepare = async (context) => {
      await context.clock.install();
      await context.route("**/admin/api/**", (route) => api.answer(route));
    };
    return new OperatorsPage(await openRecorded(browser, `${stack.origin}/admin/`, options, prepare), api);
  }

  /** Opens the page with the Worker's own API. */
  static async openForReal({ stack, browser }, options) {
    return new OperatorsPage(await openRecorded(browser, `${stack.origin}/admin/`, options));
  }

  async signIn(token = TOKEN) {
    await this.token.fill(token);
    await this.page.getByRole("button", { name: "Use it" }).click();
  }

  /** Waits until everything is read. */
  async ready() {
    await this.page.locator(".board.is-read").waitFor();
  }

  /** Lets the time of a poll pass, and waits for its answer. */
  async next() {
    const before = this.api.requests.length;
    await this.page.clock.fastForward(5_000);
    await this.settle(() => this.api.requests.length > before).catch(() => {});
    await this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }

  /** Waits until `isSo`. */
  async settle(isSo) {
    for (const until = performance.now() + SETTLE_MS; performance.now() < until; ) {
      if (await isSo()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail("it did not become so");
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** Clicks a button of the dialog, and waits until it is closed. */
  async confirm(name) {
    await this.dialog.getByRole("button", { name, exact: true }).click();
    await this.dialog.waitFor({ state: "hidden" });
  }

  /** Asks axe. The page's content security policy blocks it, as it should: the context needs `bypassCSP`. */
  async assertAccessible(state) {
    if (!(await this.page.evaluate(() => "axe" in globalThis))) await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
    assert.deepEqual(found, [], state);
    const overflow = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${state}: wider than the screen by ${overflow} px`);
  }

  close() {
    return this.context.close();
  }
}

/** Returns a test that opens the page with an API of its own, passes both to `use`, and closes the page. */
export function onPage(use, options) {
  return async (world) => {
    const page = await OperatorsPage.open(world, { api: new StandInApi(), ...options });
    try {
      await use(page, page.api, world);
    } finally {
      await page.close();
    }
  };
}
