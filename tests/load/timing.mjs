// `make timing`: measures what the response time of a 401 reveals about its reason (a timing attack). Tokens that are
// refused for different reasons are sent in random order, one at a time, over one connection. README.md says how to
// read the output.
import { createHmac, generateKeyPairSync, randomBytes, randomInt, sign as signWith } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startWorker } from "./workerd.mjs";

const root = resolve(import.meta.dirname, "../..");
const rounds = Number(process.env.TIMING_ROUNDS ?? "5000");
const warmUp = Math.min(500, rounds);
// Tokens of each kind: the time to verify an ECDSA signature differs a little from one signature to the next.
const tokens = 64;
const secret = randomBytes(32).toString("base64url");
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

const issuers = {
  HS256: { issuer: "https://hs.issuer.example", keys: { secret: "TIMING_SECRET" } },
  ES256: { issuer: "https://es.issuer.example", keys: { jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "key-1" }] } } },
};
const settings = {
  DEEPCREATIVE_API_KEY: "sk_live_TimeTimeTimeTime0",
  UPSTREAM_URL: "http://127.0.0.1:9",
  ALLOWED_ORIGINS: "none",
  TIMING_SECRET: JSON.stringify({ keys: [{ kty: "oct", kid: "key-1", k: Buffer.from(secret).toString("base64url") }] }),
  ISSUERS: JSON.stringify(Object.entries(issuers).map(([alg, issuer]) => ({ ...issuer, audience: ["timing"], algorithms: [alg] }))),
  POLICY: JSON.stringify({
    plans: { default: { requests_per_minute: 60, predictions_per_minute: 10, concurrent_predictions: 2, daily_credits: "50" } },
    models: { "acme/model-x": { credits: "1", input: { prompt: { type: "string", required: true } } } },
  }),
};

const signers = {
  HS256: (input) => createHmac("sha256", secret).update(input).digest(),
  ES256: (input) => signWith("sha256", input, { key: privateKey, dsaEncoding: "ieee-p1363" }),
};

/**
 * Returns a token that is valid except for what is given: `iss`, `kid`, `age` in seconds, or `spoiled`, the index of a
 * wrong byte in its signature.
 */
function token(alg, { iss = issuers[alg].issuer, kid = "key-1", age = 0, spoiled } = {}) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const now = Math.floor(Date.now() / 1000) - age;
  const claims = { iss, aud: "timing", sub: randomBytes(8).toString("hex"), iat: now, exp: now + 900 };
  const input = `${encode({ alg, typ: "JWT", kid })}.${encode(claims)}`;
  const signature = signers[alg](input);
  if (spoiled !== undefined) signature[spoiled] ^= 1;
  return `${input}.${signature.toString("base64url")}`;
}

/** Returns the kinds of tokens. The first is the baseline of the others. All tokens of an algorithm have one length. */
const kindsOf = (alg, last) => ({
  "bad signature, first byte": () => token(alg, { spoiled: 0 }),
  "bad signature, last byte": () => token(alg, { spoiled: last }),
  expired: () => token(alg, { age: 3_600 }),
  "unknown kid": () => token(alg, { kid: "key-2" }),
  "unknown issuer": () => token(alg, { iss: issuers[alg].issuer.replace("issuer", "nobody") }),
  "no token": () => undefined,
});

/** Opens a keep-alive connection. `ask` resolves to `took`, nanoseconds to the end of the response, and `status`. */
async function open(address) {
  const [host, port] = address.split(":");
  const socket = connect(Number(port), host).setNoDelay(true);
  await new Promise((ready, failed) => socket.once("connect", ready).once("error", failed));
  let waiting;
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2));
    if (end === -1 || (length !== null && text.length < end + 4 + Number(length[1]))) return;
    if (length === null && !text.endsWith("\r\n0\r\n\r\n")) return;
    const took = process.hrtime.bigint() - waiting.start;
    const answer = text;
    text = "";
    waiting.done({ took: Number(took), status: Number(answer.slice(9, 12)) });
  });
  const ask = (request) =>
    new Promise((done, failed) => {
      socket.once("error", failed);
      waiting = { done: (answer) => (socket.removeListener("error", failed), done(answer)), start: process.hrtime.bigint() };
      socket.write(request);
    });
  return { ask, close: () => socket.destroy() };
}

function wire(bearer) {
  const authorization = bearer === undefined ? "" : `Authorization: Bearer ${bearer}\r\n`;
  return `GET /v1/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\n${authorization}\r\n`;
}

function shuffled(names) {
  const order = [...names];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
const ascending = (values) => values.toSorted((a, b) => a - b);
const us = (nanoseconds, width) => (nanoseconds / 1000).toFixed(1).padStart(width);

/** Returns the median difference within a round and its 95 % interval by the sign test, which needs no distribution. */
function difference(times, base) {
  const sorted = ascending(times.map((time, round) => time - base[round]));
  const reach = (1.96 * Math.sqrt(sorted.length)) / 2 / sorted.length;
  return [0.5, 0.5 - reach, 0.5 + reach].map((part) => quantile(sorted, part));
}

async function measure(address, kinds) {
  const connection = await open(address);
  const requests = Object.fromEntries(Object.entries(kinds).map(([name, make]) => [name, Array.from({ length: tokens }, () => wire(make()))]));
  const times = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const name of shuffled(Object.keys(kinds))) {
      const { took, status } = await connection.ask(requests[name][randomInt(tokens)]);
      if (status !== 401) throw new Error(`${name}: ${status}`);
      if (round >= 0) times[name].push(took);
    }
  }
  connection.close();
  return times;
}

function print(alg, times) {
  const [first] = Object.keys(times);
  console.log(`\n${alg}${" ".repeat(24)}median      p25      p75   to "${first}": median [95 % interval], us`);
  for (const [name, values] of Object.entries(times)) {
    const sorted = ascending(values);
    const [middle, low, high] = difference(values, times[first]);
    const compared = name === first ? "" : `   ${us(middle, 7)} [${us(low, 0)}, ${us(high, 0)}]`;
    console.log(`  ${name.padEnd(25)} ${[0.5, 0.25, 0.75].map((part) => us(quantile(sorted, part), 8)).join(" ")}${compared}`);
  }
}

const directory = mkdtempSync(join(tmpdir(), "valetkey-timing-"));
let worker;
try {
  worker = await startWorker(root, directory, {
    files: { "index.js": join(root, "build/index.js"), "core.wasm": join(root, "build/core.wasm") },
    bindings: settings,
    objects: ["Ledger", "Dispatcher"],
  });
  console.log(`${rounds} rounds, ${tokens} tokens of each kind, one request at a time on one connection, plain workerd`);
  print("HS256", await measure(worker.address, kindsOf("HS256", 31)));
  print("ES256", await measure(worker.address, kindsOf("ES256", 63)));
} finally {
  worker?.stop();
  rmSync(directory, { recursive: true, force: true });
}
