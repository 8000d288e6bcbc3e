// The page's pure parts and the key scan, without a browser. Node strips the types from the page's sources.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ValetkeyError } from "../../../clients/web/src/index.ts";
import { Creator } from "../../../site/demo/src/creation.ts";
import { Gallery } from "../../../site/demo/src/gallery.ts";
import { loadPicture } from "../../../site/demo/src/loading.ts";
import { KNOWN_CODES, problemText } from "../../../site/demo/src/messages.ts";
import { Person } from "../../../site/demo/src/person.ts";
import { pictureProblem, size } from "../../../site/demo/src/picture-rules.ts";
import { extended, NONE, refreshed, running, updated, withChanges, without } from "../../../site/demo/src/pictures.ts";
import { mayTryAgain, problemOf, TokenProblem } from "../../../site/demo/src/problem.ts";
import { statusText, timeText } from "../../../site/demo/src/status.ts";
import { claimsOf, claimText, secondsLeft } from "../../../site/demo/src/claims.ts";
import { curlOf } from "../../../site/demo/src/curl.ts";
import { fileName } from "../../../site/demo/src/download.ts";
import { guestTokens } from "../../../site/demo/src/guest.ts";
import { eventText, Happened } from "../../../site/demo/src/happened.ts";
import { offerOf, priceText } from "../../../site/demo/src/offer.ts";
import { PastedToken } from "../../../site/demo/src/pasted.ts";
import { about, clock, inTime } from "../../../site/demo/src/times.ts";
import { scan } from "../../support/key-scan.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const KEY = "sk_live_Qm8vT2xLr5YbN7cZ0wKd3PfHs6JgUe9A";

const jwt = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const sourceText = (path) => readFileSync(join(ROOT, path), "utf8");
const prediction = (id, members) => ({ job_id: `pred_${id}`, status: "succeeded", output: [], error: null, ...members });
const ids = ({ shown }) => shown.map(({ job_id: id }) => id.slice(5));
const page = (letters, nextCursor = null) => ({ data: [...letters].map((letter) => prediction(letter)), next_cursor: nextCursor });

/** Returns a `Situation` of the page: work that started at 3 s, on a clock that stands at 10 s. */
const situation = (work, members) => ({ work, network: { kind: "fine" }, isCanceling: false, startedAt: 3_000, now: 10_000, ...members });
const making = (members) => ({ kind: "making", toldAt: 8_000, prediction: prediction("a", members) });

/** Creates a `Creator` whose API returns (or throws) `answers` in turn. `steps` lists its calls. */
function creatorOf(answers, { isOnline = true } = {}) {
  const steps = [];
  const next = (step) => async (...call) => {
    steps.push(step(...call));
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const api = {
    create: next((_, input, { idempotencyKey }) => ["create", idempotencyKey, input.input_image]),
    files: { upload: next(({ name }) => ["upload", name]) },
  };
  const offer = { model: "acme/painter", credits: "2.5", shapes: ["1:1"], takesPicture: true };
  const creator = new Creator(api, async () => offer, async () => void steps.push(["back online"]), () => isOnline);
  const request = { prompt: "x", aspectRatio: "1:1", picture: undefined };
  const progress = { uploading: () => {}, sending: () => {} };
  const create = (changes = {}, signal = new AbortController().signal) => creator.create({ ...request, ...changes }, progress, signal);
  return { create, steps, mayHaveArrived: (changes = {}) => creator.mayHaveArrived({ ...request, ...changes }) };
}

/** Creates the `Gallery` of a returning user. Each request waits in `calls` until the test settles it. */
function galleryOf() {
  const calls = [];
  const call = (what) => new Promise((resolve, reject) => calls.push({ what, resolve, reject }));
  const client = { list: ({ cursor }) => call(cursor ?? "first page"), delete: call };
  let [handlers, shown, problem] = [{}, [], undefined];
  const view = {
    onShow: () => {},
    onRemove: (handler) => (handlers.remove = handler),
    onMore: (handler) => (handlers.more = handler),
    setLoading: () => {},
    setProblem: (told) => (problem = told),
    show: (entries) => (shown = entries.map(({ prediction: { job_id: id, status } }) => `${id.slice(5)} ${status}`)),
  };
  const person = { order: () => undefined, forget: () => {} };
  globalThis.document ??= { hidden: false };
  const gallery = new Gallery(client, person, view, { tell: () => {}, onChange: () => {} }, () => true);
  return { gallery, calls, handlers, shown: () => shown, problem: () => problem };
}

/** Runs all pending promise callbacks. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function memory(items = new Map()) {
  return () => ({ getItem: (name) => items.get(name) ?? null, setItem: (name, value) => items.set(name, value) });
}

export default [
  ["every code has a sentence", () => {
    // tests/core/openapi.rs holds these lists to the code.
    const { ErrorCode, PredictionErrorCode } = JSON.parse(sourceText("docs/openapi.json")).components.schemas;
    const [wire, failures] = [ErrorCode.enum, PredictionErrorCode.enum];
    assert.ok(wire.length >= 21 && failures.length >= 6, `read ${wire.length} and ${failures.length} codes`);
    assert.deepEqual([...wire, ...failures].filter((code) => !KNOWN_CODES.includes(code)), []);
    for (const code of KNOWN_CODES) assert.match(problemText({ code }), /^[A-Z].*\.$/);
  }],
  ["an unknown code, and the name of an inherited member, get the general sentence", () => {
    for (const code of ["unknown", "constructor", "__proto__"]) assert.match(problemText({ code }), /^Something went wrong/);
  }],
  ["a parameter and a waiting time are put into words", () => {
    assert.match(problemText({ code: "invalid_parameter", param: "input.prompt" }), /^This description/);
    assert.match(problemText({ code: "invalid_parameter", param: "input" }), /^The picture service did not accept/);
    assert.match(problemText({ code: "rate_limited", retryAfterSecs: 1 }), /Try again in 1 second\.$/);
    assert.deepEqual([0, 99, 180, 36_000].map(inTime), ["in 1 second", "in 99 seconds", "in about 3 minutes", "in about 10 hours"]);
    assert.deepEqual([0.2, 7.1, 15, 16, 38, 99.9, 100, 3_600].map(about), ["1 s", "8 s", "15 s", "20 s", "40 s", "100 s", "2 min", "60 min"].map((time) => `about ${time}`));
    assert.deepEqual([clock(7_400), clock(750_000), clock(-5)], ["0:07", "12:30", "0:00"]);
  }],
  ["a message that ends in `try again` says when, and says it once", () => {
    const later = (code) => problemText({ code, retryAfterSecs: 40 });
    assert.equal(later("network"), "The service cannot be reached. Check your connection and try again in 40 seconds.");
    assert.equal(later("timeout"), "The service took too long to answer. Try again in 40 seconds.");
    assert.equal(later("no_session"), "The app’s own server did not hand out a session token. Try again in 40 seconds.");
    assert.equal(later("queue_full"), "The queue is full. Try again in 40 seconds.");
    for (const code of KNOWN_CODES) assert.match(later(code), /^(?!.*try again.*try again).*try again in 40 seconds\.$/i, code);
  }],
  ["problems of the network, the service and the app's backend are told apart", () => {
    const network = new ValetkeyError("network", "-");
    assert.deepEqual([problemOf(network, true).code, problemOf(network, false).code], ["network", "offline"]);
    const backend = new ValetkeyError("network", "-", {}, new TokenProblem("no_session"));
    assert.deepEqual([problemOf(backend, true).code, problemOf(backend, false).code], ["no_session", "offline"]);
    assert.equal(problemOf(new ValetkeyError("rate_limited", "-", { requestId: "req_1", retryAfterSecs: 3 }), true).requestId, "req_1");
    assert.equal(problemOf(new TypeError("a mistake of ours"), true), undefined);
  }],
  ["a queued prediction shows its queue position and an ETA that counts down by itself", () => {
    const third = making({ status: "queued", queue: { position: 3, eta_seconds: 40 } });
    assert.deepEqual([statusText(situation(third)), timeText(situation(third))], ["Waiting: position 3 in the queue", "about 40 s"]);
    assert.equal(timeText(situation(third, { now: 30_000 })), "about 20 s");
    assert.equal(timeText(situation(third, { now: 60_000 })), "any moment now");
    assert.equal(statusText(situation(making({ status: "queued", queue: { position: 1, eta_seconds: 2 } }))), "Waiting: you are next");
    assert.equal(statusText(situation(making({ status: "queued" }))), "Waiting in the queue…");
    assert.equal(statusText(situation(third, { isCanceling: true })), "Canceling…");
    assert.equal(timeText(situation(making({ status: "processing" }))), "0:07");
  }],
  ["a lost connection is shown in place of the current work", () => {
    const told = (kind, work) => statusText(situation(work, { network: { kind, retryAfterSecs: 3 } }));
    assert.match(told("offline", making({ status: "processing" })), /^You are offline\. Your picture is still/);
    assert.match(told("offline", { kind: "sending" }), /^You are offline\. This continues/);
    assert.match(told("unreachable", { kind: "sending" }), /^No connection/);
    assert.match(told("busy", { kind: "sending" }), /^The service is busy/);
  }],
  ["a new first page keeps older pictures and drops removed ones", () => {
    const all = extended(refreshed(NONE, page("dc", "after c")), page("ba"));
    assert.deepEqual([ids(all), all.nextCursor], [["d", "c", "b", "a"], null]);
    assert.deepEqual(ids(refreshed(all, page("ed", "after d"))), ["e", "d", "c", "b", "a"]);
    assert.deepEqual(ids(refreshed(all, page("db", "after b"))), ["d", "b", "a"]);
    assert.deepEqual(ids(refreshed(all, page("d"))), ["d"], "the last page has all that there is");
    const apart = refreshed(all, page("hg", "after g"));
    assert.deepEqual([ids(apart), apart.nextCursor], [["h", "g"], "after g"], "others were made between them");
    assert.deepEqual(ids(refreshed(all, page(""))), []);
  }],
  ["a picture is added, replaced or removed, and the newest running one is found", () => {
    const two = refreshed(NONE, page("ba"));
    const three = updated(two, prediction("c", { status: "processing" }));
    assert.deepEqual([ids(three), running(three).job_id, running(two)], [["c", "b", "a"], "pred_c", undefined]);
    assert.equal(running(updated(three, prediction("c"))), undefined);
    assert.equal(running(updated(two, prediction("b", { status: "processing" }))), undefined, "a terminal prediction stays terminal");
    assert.deepEqual(ids(without(three, "pred_b")), ["c", "a"]);
    assert.deepEqual(ids(extended(two, page("a"))), ["b", "a"]);
    assert.deepEqual(ids(withChanges(three, [["pred_d", prediction("d")], ["pred_a", undefined]])), ["d", "c", "b"]);
  }],
  ["a change while a list is in flight is newer than the list", async () => {
    const { gallery, calls, handlers, shown } = galleryOf();
    const started = gallery.start();
    await settle();
    gallery.see(prediction("c", { status: "processing" }));
    gallery.see(prediction("b"));
    handlers.remove("pred_a");
    calls[1].resolve();
    await settle();
    // The server made the list before these changes.
    calls[0].resolve({ data: [prediction("b", { status: "processing" }), prediction("a")], next_cursor: null });
    await started;
    assert.deepEqual(shown(), ["c processing", "b succeeded"]);
    gallery.see(prediction("c"));
  }],
  ["a list never overtakes a newer one, and never drops a loaded page of older pictures", async () => {
    const { gallery, calls, handlers, shown } = galleryOf();
    const started = gallery.start();
    await settle();
    calls[0].resolve({ data: [prediction("d"), prediction("c")], next_cursor: "after c" });
    await started;
    const looks = [gallery.refresh(), gallery.refresh()];
    handlers.more();
    await settle();
    assert.deepEqual(calls.slice(1).map(({ what }) => what), ["after c", "first page"], "one refresh at a time");
    calls[1].resolve({ data: [prediction("b")], next_cursor: null });
    await settle();
    calls[2].resolve({ data: [prediction("d"), prediction("c")], next_cursor: "after c" });
    await settle();
    calls[3].resolve({ data: [prediction("e"), prediction("d")], next_cursor: "after d" });
    await Promise.all(looks);
    assert.deepEqual(shown(), ["e succeeded", "d succeeded", "c succeeded", "b succeeded"]);
  }],
  ["an automatic refresh clears the message that pictures could not be loaded, and no other one", async () => {
    const { gallery, calls, handlers, problem } = galleryOf();
    const answered = async (index, error) => {
      await settle();
      if (error) calls[index].reject(error);
      else calls[index].resolve(page("a"));
      await settle();
    };
    const refused = new ValetkeyError("limiter_unavailable", "-");
    void gallery.start();
    await answered(0, refused);
    assert.equal(problem().code, "limiter_unavailable");
    void gallery.refresh();
    await answered(1);
    assert.equal(problem(), undefined);
    handlers.remove("pred_a");
    await answered(2, refused);
    void gallery.refresh();
    await answered(3);
    assert.equal(problem().code, "limiter_unavailable");
  }],
  ["a picture loads in a background tab, where browsers decode nothing", async () => {
    const made = [];
    globalThis.Image = class {
      constructor() { made.push(this); }
      decode() { return new Promise(() => {}); }
    };
    try {
      const loads = ["https://cdn.example/a.png", "https://cdn.example/gone.png"].map(loadPicture);
      assert.deepEqual(made.map(({ src, referrerPolicy }) => [src.slice(-5), referrerPolicy]), [["a.png", "no-referrer"], ["e.png", "no-referrer"]]);
      made[0].onload();
      made[1].onerror();
      assert.deepEqual(await Promise.all(loads), [made[0], undefined]);
      assert.equal(await loadPicture(undefined), undefined);
    } finally {
      delete globalThis.Image;
    }
  }],
  ["a request without a response keeps its idempotency key, and no other request gets it", async () => {
    const lost = new ValetkeyError("timeout", "-");
    const { create, steps } = creatorOf([lost, prediction("a"), prediction("b"), lost, prediction("c")]);
    await assert.rejects(create(), lost);
    await create();
    await create();
    await assert.rejects(create(), lost);
    await create({ prompt: "y" });
    const keys = steps.map(([, key]) => key);
    assert.equal(keys[0], keys[1]);
    assert.equal(new Set(keys).size, 4);
  }],
  ["two requests without a response keep a key each, whatever becomes of the other", async () => {
    const lost = new ValetkeyError("timeout", "-");
    const { create, steps, mayHaveArrived } = creatorOf([lost, lost, prediction("b"), prediction("a")]);
    await assert.rejects(create({ prompt: "a" }), lost);
    await assert.rejects(create({ prompt: "b" }), lost);
    assert.deepEqual([mayHaveArrived({ prompt: "a" }), mayHaveArrived({ prompt: "c" })], [true, false]);
    await create({ prompt: "b" });
    await create({ prompt: "a" });
    const keys = steps.map(([, key]) => key);
    assert.deepEqual([keys[3], keys[2]], [keys[0], keys[1]]);
    assert.equal(mayHaveArrived({ prompt: "a" }), false);
  }],
  ["after a temporary refusal a retry has the same key; after a failed prediction it has a new one", async () => {
    const failed = new ValetkeyError("upstream_error", "-", { prediction: prediction("a", { status: "failed" }) });
    const answers = [new ValetkeyError("timeout", "-"), new ValetkeyError("no_token", "-"), new ValetkeyError("rate_limited", "-"), failed, prediction("b")];
    const { create, steps } = creatorOf(answers);
    for (let tries = 0; tries < 4; tries += 1) await assert.rejects(create());
    await create();
    const keys = steps.map(([, key]) => key);
    assert.equal(new Set(keys.slice(0, 4)).size, 1);
    assert.notEqual(keys[4], keys[0]);
  }],
  ["offline, a create waits and continues with the same key, and uploads its picture once", async () => {
    const down = new ValetkeyError("network", "-");
    const { create, steps } = creatorOf([down, { file_id: "file_1" }, down, prediction("a"), prediction("b")], { isOnline: false });
    const picture = new File(["x"], "a.png");
    await create({ picture });
    await create({ picture });
    assert.deepEqual(steps.map(([step]) => step), ["upload", "back online", "upload", "create", "back online", "create", "create"]);
    assert.equal(steps[3][1], steps[5][1]);
    assert.notEqual(steps[6][1], steps[5][1]);
    assert.ok(steps.filter(([step]) => step === "create").every(([, , image]) => image === "file_1"));
  }],
  ["a file that the API no longer has is uploaded again", async () => {
    const gone = new ValetkeyError("invalid_parameter", "-", { param: "input.input_image" });
    const { create, steps } = creatorOf([{ file_id: "file_1" }, gone, { file_id: "file_2" }, prediction("a")]);
    const picture = new File(["x"], "a.png");
    await assert.rejects(create({ picture }), gone);
    await create({ picture });
    assert.equal(steps.at(-1)[2], "file_2");
  }],
  ["a cancel during the upload sends no create", async () => {
    const { create, steps } = creatorOf([{ file_id: "file_1" }]);
    await assert.rejects(create({ picture: new File(["x"], "a.png") }, AbortSignal.abort()), { name: "AbortError" });
    assert.deepEqual(steps.map(([step]) => step), ["upload"]);
  }],
  ["files are checked before they are sent", () => {
    const of = (type, bytes) => pictureProblem({ type, size: bytes });
    assert.deepEqual([of("image/png", 1), of("image/gif", 90_000_000), of("image/webp", 5), of("image/jpeg", 5)], Array(4).fill(undefined));
    assert.deepEqual([of("image/png", 90_000_001), of("image/png", 0), of("image/svg+xml", 5), of("", 5)], ["picture_size", "picture_empty", "picture_type", "picture_type"]);
    assert.deepEqual([5, 12_400, 999_499, 999_500, 3_400_000].map(size), ["1 KB", "12 KB", "999 KB", "1.0 MB", "3.4 MB"]);
  }],
  ["a browser stores one subject for all its tabs, and what was ordered", () => {
    const storage = memory();
    const [first, second] = [new Person(storage), new Person(storage)];
    assert.equal(first.isKnown, false);
    assert.equal(first.subject(), second.subject());
    assert.equal(new Person(storage).isKnown, true);
    assert.equal(first.isKnown, true);
    const order = { prompt: "A garden", aspectRatio: "9:16" };
    first.remember("pred_a", order);
    assert.deepEqual(second.order("pred_a"), order);
    for (let index = 0; index < 100; index += 1) first.remember(`pred_${index}`, order);
    assert.equal(second.order("pred_a"), undefined, "a hundred are enough");
    first.forget("pred_7");
    assert.deepEqual([second.order("pred_7"), second.order("pred_8")], [undefined, order]);
  }],
  ["storage that is blocked or holds foreign data does no harm", () => {
    const blocked = new Person(() => { throw new Error("blocked"); });
    assert.match(blocked.subject(), /^demo-[0-9a-f]{16}$/);
    assert.equal(blocked.subject(), blocked.subject());
    for (const junk of ["", "{", "null", "[1]", '[["pred_a"]]', '[["pred_a",{"prompt":1}]]']) {
      const person = new Person(memory(new Map([["valetkey-demo-orders", junk], ["valetkey-demo-subject", "somebody else"]])));
      assert.deepEqual([person.isKnown, person.order("pred_a")], [false, undefined], junk);
    }
  }],
  ["a pasted token is used until it expires or is refused, and then asked for again", () => {
    const now = Date.now();
    const tokenOf = (secs) => jwt({ sub: "alice", exp: Math.floor(now / 1000) + secs });
    const pasted = new PastedToken();
    const asked = [];
    pasted.onNeeded = (code) => asked.push(code);
    const codeOf = (request) => {
      try {
        return pasted.getToken(request);
      } catch (thrown) {
        return problemOf(thrown, true).code;
      }
    };
    assert.equal(codeOf({ forceRefresh: false }), "token_needed");
    for (const [text, code] of [["  ", "token_needed"], ["hello", "token_malformed"], ["a.b.c", "token_malformed"], [tokenOf(-1), "token_expired"]]) {
      assert.equal(pasted.take(text, now), code, text);
    }
    const token = tokenOf(100);
    for (const text of [token, ` ${token}\n`, `Bearer ${token}`]) {
      assert.equal(pasted.take(text, now), undefined);
      assert.equal(codeOf({ forceRefresh: false }), token);
    }
    assert.equal(codeOf({ forceRefresh: true }), "token_refused");
    assert.equal(pasted.isThere, false);
    pasted.take(tokenOf(100), now - 200_000);
    pasted.take(tokenOf(-100), now - 200_000);
    assert.equal(codeOf({ forceRefresh: false }), "token_expired");
    assert.deepEqual(asked, ["token_needed", "token_refused", "token_expired"]);
  }],
  ["each token of a guest costs one confirmation, and two callers share it", async () => {
    const drawn = [];
    const turnstile = { render: (_, options) => (drawn.push(options), "widget"), reset: (id) => drawn.push(id) };
    const sent = [];
    const before = globalThis.fetch;
    globalThis.fetch = async (url, { body }) => {
      sent.push([url, new URLSearchParams(body).get("subject_token")]);
      return Response.json(sent.length === 2 ? { error: "invalid_request" } : { access_token: `access${sent.length}` }, { status: sent.length === 2 ? 400 : 200 });
    };
    try {
      let guests = 0;
      const getToken = guestTokens("0x4AAA", {}, () => (guests += 1), async () => turnstile);
      const both = Promise.all([getToken({}), getToken({})]);
      await settle();
      assert.deepEqual([drawn.length, drawn[0].sitekey, drawn[0].action], [1, "0x4AAA", "guest"]);
      drawn[0].callback("once");
      assert.deepEqual(await both, ["access1", "access1"]);
      const refused = getToken({});
      await settle();
      drawn[0].callback("twice");
      await assert.rejects(refused, (thrown) => problemOf(thrown, true).code === "no_guest");
      const failed = getToken({});
      await settle();
      assert.equal(drawn[0]["error-callback"](), true);
      await assert.rejects(failed, (thrown) => problemOf(thrown, true).code === "no_guest");
      assert.deepEqual([drawn.slice(1), guests], [["widget", "widget"], 1]);
      assert.deepEqual(sent.map(([, token]) => token), ["once", "twice"]);
      assert.ok(sent.every(([url]) => url === "/auth/token"));
    } finally {
      globalThis.fetch = before;
    }
  }],
  ["the form offers what the model takes", () => {
    const shapes = ["1:1", "16:9"];
    const model = (id, input) => ({ id, credits: "2.5", input });
    const prompt = { type: "string", required: true };
    const plain = { model: "acme/x", credits: "2.5", shapes: [], takesPicture: false };
    assert.deepEqual(offerOf([model("acme/x", { prompt })], shapes), plain);
    const all = { prompt, aspect_ratio: { type: "string", enum: ["16:9", "3:2"] }, input_image: { type: "string", format: "file" } };
    assert.deepEqual(offerOf([model("acme/x", all)], shapes), { ...plain, shapes: ["16:9"], takesPicture: true });
    assert.deepEqual(offerOf([model("acme/x", { prompt, aspect_ratio: { type: "string" }, input_image: { type: "string", format: "https-url" } })], shapes), { ...plain, shapes });
    assert.equal(offerOf([model("acme/x", { prompt }), model("black-forest-labs/flux-kontext-max", { prompt })], shapes).model, "black-forest-labs/flux-kontext-max");
    assert.equal(offerOf([model("acme/upscale", { prompt, image: { type: "string", required: true } })], shapes), undefined);
    assert.equal(offerOf([model("acme/x", { prompt, seed: { type: "integer", required: true, default: 1 } })], shapes).model, "acme/x");
    assert.equal(offerOf([model("acme/upscale", { image: prompt })], shapes), undefined);
    assert.equal(priceText(plain, undefined), "A picture costs up to 2.5 credits.");
    assert.equal(priceText({ ...plain, credits: "1" }, { credits_balance: "10", daily_credits: "10" }), "A picture costs up to 1 credit. You have 10 of today’s 10 left.");
    assert.match(priceText(plain, { credits_balance: "2.4", daily_credits: "10" }), /You have 2\.4 of today’s 10 left: not enough until midnight UTC\.$/);
  }],
  ["the curl command is what was sent, with a placeholder for the token, and a shell reads it back", () => {
    const body = JSON.stringify({ input: { prompt: `It's "$HOME" \`id\` \\ ü` } });
    const request = { method: "POST", url: "https://valetkey.example/v1/acme/x/predictions", headers: { authorization: "Bearer a.b.c", "idempotency-key": "k'1" }, body };
    const command = curlOf(request);
    assert.ok(command.includes('-H "Authorization: Bearer $TOKEN"') && !command.includes("a.b.c"), command);
    const read = (text) => execFileSync("sh", ["-c", text.replace(/^curl/, "printf '%s\\n'")], { encoding: "utf8", env: { TOKEN: "t" } }).trim().split("\n");
    const expected = ["-X", "POST", request.url, "-H", "Authorization: Bearer t", "-H", "idempotency-key: k'1", "-d", body];
    assert.deepEqual(read(command), expected);
    assert.ok(curlOf(request, "a.b.c").includes("Bearer a.b.c"));
  }],
  ["the panel keeps the events of the last create, each once", () => {
    let [now, events, requests] = [1_000, [], 0];
    const happened = new Happened({ setToken: () => {}, setRequest: () => (requests += 1), setEvents: (seen) => (events = seen.map(({ afterMs, prediction: { status } }) => `${afterMs} ${status}`)) }, () => now);
    const send = (key) => happened.sent({ method: "POST", url: "-", headers: { "idempotency-key": key }, body: "" });
    send("a");
    happened.created("pred_a");
    now += 400;
    for (const status of ["queued", "queued", "processing"]) happened.seen(prediction("a", { status }));
    happened.seen(prediction("b"));
    send("a");
    assert.deepEqual([events, requests], [["400 queued", "400 processing"], 2], "a repeat is the same create");
    send("b");
    happened.seen(prediction("a"));
    assert.deepEqual(events, []);
    const text = (members) => eventText(prediction("a", { credits_used: null, ...members }));
    assert.equal(text({ status: "queued", queue: { position: 2, eta_seconds: 3.2 } }), "position 2, about 4 s");
    assert.deepEqual([text({ credits_used: "2.5" }), text({ status: "failed", error: { code: "timed_out" } })], ["2.5 credits used", "timed_out"]);
    assert.equal(text({ status: "processing", cancel_requested: true }), "cancel requested");
  }],
  ["claims are read from any token, and from nothing else", () => {
    const claims = { sub: "ü", exp: 100, vk: { scope: ["read"] } };
    assert.deepEqual(claimsOf(jwt(claims)), claims);
    for (const text of ["", "a.b", "a.b.c.d", "e30.W10.c2ln", "e30.!.c2ln", `e30.${"A".repeat(5)}.c2ln`]) assert.equal(claimsOf(text), undefined, text);
    assert.deepEqual([secondsLeft(claims, 40_500), secondsLeft(claims, 200_000), secondsLeft({}, 0)], [59, 0, undefined]);
    assert.deepEqual([claimText("vk", claims.vk), claimText("sub", "ü"), claimText("n", 5)], ['{"scope":["read"]}', "ü", "5"]);
    assert.match(claimText("exp", 100), /^\d+:01:40/);
  }],
  ["a failure that would repeat itself or be paid twice offers no other try", () => {
    for (const [code, expected] of [["rate_limited", true], ["upstream_failed", true], ["network", true], ["token_needed", true], ["outcome_unknown", false], ["insufficient_credits", false], ["not_found", false]]) {
      assert.equal(mayTryAgain({ code }), expected, code);
    }
    assert.deepEqual(["A lighthouse, in the fog!", "日本", "É".repeat(3)].map(fileName), ["a-lighthouse-in-the-fog.png", "picture.png", "e-e-e.png"]);
  }],
  ["the key scan finds the key, its tail and any piece in every encoding", () => {
    const encodings = {
      plain: (text) => text,
      base64: (text) => Buffer.from(text).toString("base64"),
      "base64, shifted by one": (text) => Buffer.from(`.${text}`).toString("base64"),
      "base64, shifted by two": (text) => Buffer.from(`..${text}`).toString("base64"),
      base64url: (text) => Buffer.from(text).toString("base64url"),
      hex: (text) => Buffer.from(text).toString("hex"),
      "hex in upper case": (text) => Buffer.from(text).toString("hex").toUpperCase(),
      percent: (text) => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
      "JSON escapes": (text) => [...text].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join(""),
      "HTML entities": (text) => [...text].map((c) => `&#${c.charCodeAt(0)};`).join(""),
      "UTF-16": (text) => Buffer.from(text, "utf16le"),
      reversed: (text) => [...text].reverse().join(""),
    };
    for (const [name, encode] of Object.entries(encodings)) {
      for (const part of [KEY, KEY.slice(8), KEY.slice(11, 27), KEY.slice(-16)]) {
        const content = Buffer.concat([Buffer.from("before "), Buffer.from(encode(part)), Buffer.from(" after")]);
        assert.notDeepEqual(scan(KEY, [{ what: "planted", content }]), [], `${name} of ${part}`);
      }
    }
    const clean = [{ what: "clean", content: `sk_live_ ${KEY.slice(8, 23)} Bearer ${jwt({ sub: "demo" })}` }];
    assert.deepEqual(scan(KEY, clean), []);
  }],
];
