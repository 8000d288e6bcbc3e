// examples/python: makes a picture from the command line, and says why when it cannot.
import assert from "node:assert/strict";
import { join } from "node:path";
import { scan } from "../../support/key-scan.mjs";
import { findPython, run } from "../../support/program.mjs";
import { Recorder } from "../../support/recorder.mjs";

const EXAMPLE = join(import.meta.dirname, "../../../examples/python");
const python = findPython();

export const missing = () => (python === undefined ? "no python3 with the packages of tests/requirements.txt" : undefined);

/** Runs the example behind a `Recorder` with this `cut`. Asserts that the record holds no piece of the vendor key. */
async function makePicture({ session, origin, vendorKey }, args, cut) {
  const recorder = await Recorder.start(origin, cut);
  try {
    const env = {
      PATH: process.env.PATH,
      NO_PROXY: "127.0.0.1",
      VALETKEY_URL: recorder.origin,
      APP_TOKEN_ISSUER: session.SESSION_ISSUER,
      APP_TOKEN_AUDIENCE: session.SESSION_AUDIENCE,
      APP_TOKEN_SECRET: session.SESSION_SECRET,
    };
    const result = await run(python, ["make_picture.py", ...args], { cwd: EXAMPLE, env });
    const output = [{ what: "output", content: result.stdout + result.stderr }];
    assert.deepEqual(scan(vendorKey, [...output, ...recorder.records()]), []);
    assert.doesNotMatch(result.stderr, /Traceback/);
    return { ...result, exchanges: recorder.exchanges };
  } finally {
    await recorder.stop();
  }
}

async function prepare({ simulator }, settings) {
  await simulator.reset();
  await simulator.settings({ requests_per_minute: null, concurrent_limit: null, ...settings });
}

const header = ({ headers }, name) => headers[headers.findIndex((header) => header.toLowerCase() === name) + 1];
const creates = (exchanges) => exchanges.filter(({ method }) => method === "POST");
const streams = (exchanges) => exchanges.filter(({ path }) => path.endsWith("/events"));

async function assertPicture({ code, stdout, stderr }) {
  assert.equal(code, 0, stderr);
  const url = /^(\S+)\n$/.exec(stdout)?.[1];
  const picture = await fetch(url);
  assert.equal(picture.headers.get("content-type"), "image/png", url);
}

/** Asserts that the program says in a sentence what happened, with the request id for the operator's log. */
function assertExplains({ code, stdout, stderr, exchanges }, expected, pattern) {
  assert.equal(code, expected, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, pattern);
  const requestId = header(creates(exchanges).at(-1).received, "x-request-id");
  assert.match(requestId, /^req_/);
  assert.ok(stderr.includes(`request ${requestId})`), stderr);
}

export default [
  [
    "python: makes a picture with a token that it signs itself, and follows the events",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 1_000 });
      const result = await makePicture(stack, ["A serene Japanese garden", "--user", "py", "--aspect-ratio", "16:9"]);
      await assertPicture(result);
      assert.match(result.stderr, /^pred_\w+: processing\n[^]*^pred_\w+: succeeded\n$/m);
      assert.equal(streams(result.exchanges).length, 1);
      assert.match(header(creates(result.exchanges)[0].sent, "idempotency-key"), /^[\da-f-]{36}$/);
    },
  ],
  [
    "python: makes a picture with a token from VALETKEY_TOKEN, and polls",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 500 });
      const env = { VALETKEY_TOKEN: await stack.simulator.token("py-given"), VALETKEY_URL: stack.origin, PATH: process.env.PATH };
      await assertPicture(await run(python, ["make_picture.py", "A garden", "--poll"], { cwd: EXAMPLE, env }));
    },
  ],
  [
    "python: resumes a broken stream after the last event",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 1_500 });
      let breaks = 1;
      // Breaks at the second chunk of a stream, when the first event has arrived.
      const cut = ({ path, received }) => path.endsWith("/events") && received.body.length === 2 && breaks-- > 0;
      const result = await makePicture(stack, ["A garden at night", "--user", "py-resume"], cut);
      await assertPicture(result);
      const [broken, resumed] = streams(result.exchanges);
      const seen = /^id: (.*)$/m.exec(Buffer.concat(broken.received.body.slice(0, 1)).toString())[1];
      assert.equal(header(resumed.sent, "last-event-id"), seen);
    },
  ],
  [
    "python: repeats a create whose response was lost, and makes one picture",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 500 });
      const { next } = await stack.simulator.requests();
      let losses = 1;
      const result = await makePicture(stack, ["A garden", "--user", "py-lost"], ({ method }) => method === "POST" && losses-- > 0);
      await assertPicture(result);
      const keys = creates(result.exchanges).map(({ sent }) => header(sent, "idempotency-key"));
      assert.equal(keys.length, 2);
      assert.equal(keys[0], keys[1]);
      assert.match(result.stderr, /; next try in 1 s\n/);
      const made = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create");
      assert.equal(made.length, 1);
    },
  ],
  [
    "python: waits as long as a 429 says, and then makes the picture",
    async ({ stack }) => {
      // The second program is refused even if it starts seconds later.
      await prepare(stack, { prediction_ms: 6_000 });
      const user = ["--user", "py-busy", "--plan", "single"];
      const both = await Promise.all([1, 2].map((number) => makePicture(stack, [`Garden ${number}`, ...user])));
      for (const result of both) await assertPicture(result);
      const statuses = both.map(({ exchanges }) => creates(exchanges).map(({ received }) => received.status));
      assert.ok(statuses.flat().includes(429), JSON.stringify(statuses));
    },
  ],
  [
    "python: reports a failed prediction with its request id",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 500 });
      const result = await makePicture(stack, ["A garden [fail]", "--user", "py-fail"]);
      assertExplains(result, 1, /^No picture: .*\(upstream_failed, pred_\w+, request /m);
    },
  ],
  [
    "python: reports that no credits are left, with the request id",
    async ({ stack }) => {
      await prepare(stack);
      const result = await makePicture(stack, ["A garden", "--user", "py-broke", "--plan", "broke"]);
      assertExplains(result, 1, /^The request was refused: .*\(402 insufficient_credits, request /m);
    },
  ],
  [
    "python: gives up when it would have to wait too long, and says how to repeat the command",
    async ({ stack }) => {
      await prepare(stack, { prediction_ms: 500 });
      const user = ["--user", "py-slow", "--plan", "slow", "--timeout", "15"];
      await assertPicture(await makePicture(stack, ["A garden", ...user]));
      const result = await makePicture(stack, ["Another garden", ...user, "--idempotency-key", "again-1"]);
      assertExplains(result, 75, /^Timed out: .*\(429 rate_limited, .*\)\nTo continue, run it again with --idempotency-key again-1\n$/);
    },
  ],
  [
    "python: prints help, and says what is wrong with a command",
    async ({ stack }) => {
      const help = await makePicture(stack, ["--help"]);
      assert.equal(help.code, 0);
      assert.match(help.stdout, /--idempotency-key[^]*Exit codes: 0 the picture was created/);
      assert.equal((await makePicture(stack, [])).code, 2);
      const elsewhere = await makePicture(stack, ["A garden", "--url", "nowhere"]);
      assert.equal(elsewhere.code, 2);
      assert.match(elsewhere.stderr, /^Cannot send a request to nowhere: /);
      const bare = await run(python, ["make_picture.py", "A garden"], { cwd: EXAMPLE, env: { PATH: process.env.PATH } });
      assert.equal(bare.code, 2);
      assert.match(bare.stderr, /^Set APP_TOKEN_SECRET/);
    },
  ],
];
