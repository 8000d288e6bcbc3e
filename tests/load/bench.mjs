// `make bench`: compares Valetkey's requests per second with those of its peers (README.md), in one run, with one load
// tool, under plain workerd. README.md says how to read the output.
import { execFileSync, spawn } from "node:child_process";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startWorker } from "./workerd.mjs";

const root = resolve(import.meta.dirname, "../..");
const seconds = Number(process.env.BENCH_SECONDS ?? "3");
const rounds = Number(process.env.BENCH_ROUNDS ?? "5");
// An earlier build, measured in the same rounds.
const previousBuild = process.env.BENCH_PREVIOUS;
const connections = 16;
// Concurrent creates: as many vendor connections as the Dispatcher uses for them (VENDOR_CONNECTIONS_MAX less
// VENDOR_CONNECTIONS_RESERVED). More would wait in Valetkey's queue; the peers have none.
const creating = 4;
const secret = "a-secret-of-the-benchmark-alone-0123456789";
const vendorKey = "sk_live_BenchBenchBenchBench0";
const directory = mkdtempSync(join(tmpdir(), "valetkey-bench-"));
const stops = [];

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });

function signingInput(issuer, algorithm, subject, lifetime = 900) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: issuer, aud: "bench", sub: subject, iat: now, exp: now + lifetime };
  return `${encode({ alg: algorithm, typ: "JWT" })}.${encode(claims)}`;
}

function token(subject, lifetime) {
  const input = signingInput("https://issuer.example", "HS256", subject, lifetime);
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

function es256Token(subject) {
  const input = signingInput("https://es256.issuer.example", "ES256", subject);
  const signature = sign("sha256", Buffer.from(input), { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

function wire(method, path, bearer, body = "") {
  const head = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", `Authorization: Bearer ${bearer}`];
  if (method === "POST") head.push("Content-Type: application/json", `Content-Length: ${body.length}`);
  return `${head.join("\\r\\n")}\\r\\n\\r\\n${body}`;
}

function load(worker, status, requests, time = seconds, open = connections) {
  const file = join(directory, "requests");
  writeFileSync(file, requests.join("\n"));
  const output = execFileSync(client, ["run", worker.address, String(time), String(open), String(status), file], { encoding: "utf8" });
  return JSON.parse(output);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Measures cells `[worker, status, requests]` in alternating rounds. Returns each one's median rps, p50, p99 (us). */
function measure(cells, open = connections) {
  const results = cells.map(() => []);
  for (const [worker, status, requests] of cells) load(worker, status, requests, 1, open);
  for (let round = 0; round < rounds; round += 1) {
    cells.forEach(([worker, status, requests], index) => results[index].push(load(worker, status, requests, seconds, open)));
  }
  return results.map((runs) => ({ rps: median(runs.map((run) => run.rps)), p50: median(runs.map((run) => run.p50_us)), p99: median(runs.map((run) => run.p99_us)) }));
}

/**
 * Compares two builds in `pairs` of rounds that follow each other, so that a slow moment of the machine meets both, and
 * swaps which one goes first. Prints the median and the quartiles of the ratio of their requests per second.
 */
function compare(name, [ours, previous], open = connections, pairs = 21) {
  for (const [worker, status, requests] of [ours, previous]) load(worker, status, requests, 1, open);
  const ratios = Array.from({ length: pairs }, (_, pair) => {
    const order = pair % 2 === 0 ? [ours, previous] : [previous, ours];
    const rps = new Map(order.map((cell) => [cell, load(...cell, seconds, open).rps]));
    return rps.get(ours) / rps.get(previous);
  }).toSorted((a, b) => a - b);
  const at = (share) => ratios[Math.floor(share * (pairs - 1))].toFixed(2);
  console.log(`  ${name}, to the previous build: median ${at(0.5)}, quartiles ${at(0.25)} and ${at(0.75)}, of ${pairs} pairs`);
}

function print(name, rows) {
  console.log(`\n${name}`);
  const [nullRelay, hono] = [rows.find(([who]) => who === "null relay"), rows.find(([who]) => who === "Hono + jose")];
  for (const [who, { rps, p50, p99 }] of rows) {
    const ratio = (peer) => (peer ? (rps / peer[1].rps).toFixed(2) : "-").padStart(6);
    console.log(`  ${who.padEnd(24)} ${rps.toFixed(0).padStart(7)} /s   p50 ${String(p50).padStart(6)} us   p99 ${String(p99).padStart(6)} us   to null ${ratio(nullRelay)}   to Hono ${ratio(hono)}`);
  }
}

function target(name, reached, wanted) {
  console.log(`  ${name}: ${reached.toFixed(2)}, wanted ${wanted}: ${reached >= wanted ? "met" : "missed"}`);
}

async function startUpstream() {
  const port = 20_000 + (process.pid % 20_000);
  const child = spawn(client, ["upstream", String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  stops.push(() => child.kill("SIGKILL"));
  await new Promise((ready) => child.stdout.once("data", ready));
  return `http://127.0.0.1:${port}`;
}

async function startAll(upstream) {
  const bundle = (name) => {
    const file = join(directory, name);
    execFileSync(process.env.ESBUILD_BIN ?? join(root, "node_modules/.bin/esbuild"), [
      join(root, "tests/load/peers", name), "--bundle", "--format=esm", "--minify", "--keep-names", "--conditions=workerd,worker,browser", `--outfile=${file}`,
    ], { stdio: "ignore" });
    return file;
  };
  const plan = { requests_per_minute: 1_000_000, predictions_per_minute: 1_000_000, concurrent_predictions: 1_000, daily_credits: "1000000000" };
  const bindings = { UPSTREAM_URL: `${upstream}`, DEEPCREATIVE_API_KEY: vendorKey, TEST_SECRET: secret };
  const settings = {
    ...bindings,
    ALLOWED_ORIGINS: "none",
    // The peers do not log either.
    LOG_LEVEL: "error",
    ISSUERS: JSON.stringify([
      { issuer: "https://issuer.example", audience: ["bench"], keys: { secret: "TEST_SECRET" }, algorithms: ["HS256"] },
      { issuer: "https://es256.issuer.example", audience: ["bench"], keys: { jwks: { keys: [ec.publicKey.export({ format: "jwk" })] } }, algorithms: ["ES256"] },
    ]),
    POLICY: JSON.stringify({
      plans: { default: plan },
      models: { "acme/model-x": { credits: "1", input: { prompt: { type: "string", required: true } } } },
      key: { requests_per_minute: 1_000_000, concurrent_predictions: 1_000 },
    }),
  };
  const start = async (name, options) => {
    const worker = await startWorker(root, join(directory, name), options);
    stops.push(worker.stop);
    return worker;
  };
  const built = (build) => ({
    files: { "index.js": join(build, "index.js"), "core.wasm": join(build, "core.wasm") },
    bindings: settings,
    objects: ["Ledger", "Dispatcher"],
  });
  mkdirSync(join(directory, "null"), { recursive: true });
  return {
    nullRelay: await start("null", { files: { "null.js": join(root, "tests/load/peers/null.js") }, bindings }),
    hono: await start("hono-relay", { files: { "hono.js": bundle("hono.js") }, bindings }),
    objects: await start("objects", { files: { "two-objects.js": bundle("two-objects.js") }, bindings, objects: ["Ledger", "Dispatcher"] }),
    ours: await start("ours", {
      ...built(join(root, "build")),
      flags: process.argv.includes("--profile") ? ["--inspector-addr=127.0.0.1:9333"] : [],
    }),
    previous: previousBuild === undefined ? undefined : await start("previous", built(resolve(previousBuild))),
  };
}

async function endedPrediction(ours, bearer) {
  const headers = { Authorization: `Bearer ${bearer}`, "Content-Type": "application/json" };
  const created = await fetch(`http://${ours.address}/v1/acme/model-x/predictions`, { method: "POST", headers, body: createBody });
  const { job_id: id, status } = await created.json();
  if (status !== "succeeded") throw new Error(`the prediction is not terminal at once: ${created.status} ${status}`);
  return id;
}

const createBody = JSON.stringify({ input: { prompt: "A serene Japanese garden" } });
const clientDirectory = join(root, "tests/load/client");
const client = join(process.env.CARGO_TARGET_DIR ?? join(root, "target/load"), "release/valetkey-load");

async function main() {
  execFileSync("cargo", ["build", "--release", "--quiet", "--manifest-path", join(clientDirectory, "Cargo.toml")], {
    env: { ...process.env, CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? join(root, "target/load") },
    stdio: "inherit",
  });
  const { nullRelay, hono, objects, ours, previous } = await startAll(await startUpstream());
  const good = token("alice");
  const id = await endedPrediction(ours, good);
  // A record belongs to a user of one issuer, so each token reads a prediction of its own. All are made before the rounds,
  // which keep this process from noticing that a connection was closed.
  const signed = es256Token("alice");
  const signedId = await endedPrediction(ours, signed);
  const earlierId = previous && (await endedPrediction(previous, good));
  if (process.argv.includes("--profile")) {
    const { profile } = await import("./profile.mjs");
    return profile("127.0.0.1:9333", () => load(ours, 200, [wire("GET", `/v1/predictions/${id}`, good)], 5));
  }
  const creates = Array.from({ length: 256 }, (_, user) => wire("POST", "/v1/acme/model-x/predictions", token(`user-${user}`), createBody));
  if (process.env.BENCH_ONLY === "previous") {
    compare("GET", [[ours, 200, [wire("GET", `/v1/predictions/${id}`, good)]], [previous, 200, [wire("GET", `/v1/predictions/${earlierId}`, good)]]]);
    return compare("create", [[ours, 201, creates], [previous, 201, creates]], creating);
  }
  console.log(`${connections} connections, median of ${rounds} rounds of ${seconds} s, plain workerd`);

  const bad = `${good.slice(0, -4)}AAAA`;
  const refused = [wire("GET", "/v1/predictions/x", bad)];
  const refusedOurs = [wire("GET", `/v1/predictions/${id}`, bad)];
  const [honoRefused, oursRefused] = measure([[hono, 401, refused], [ours, 401, refusedOurs]]);
  print("401, a token with a wrong signature", [["Hono + jose", honoRefused], ["Valetkey", oursRefused]]);

  const get = [wire("GET", `/v1/predictions/${id}`, good)];
  const before = previous && [[previous, 200, [wire("GET", `/v1/predictions/${earlierId}`, good)]]];
  const [nullGet, honoGet, oursGet, previousGet] = measure([[nullRelay, 200, get], [hono, 200, get], [ours, 200, get], ...(before ?? [])]);
  print("GET of an ended prediction (the peers relay, Valetkey reads the user's Ledger)", [
    ["null relay", nullGet], ["Hono + jose", honoGet], ["Valetkey", oursGet], ...(before ? [["the previous build", previousGet]] : []),
  ]);

  const signedGet = [wire("GET", `/v1/predictions/${signedId}`, signed)];
  const [hs256, es256] = measure([[ours, 200, get], [ours, 200, signedGet]]);
  print("GET with a token that the isolate has verified before, by algorithm", [["HS256", hs256], ["ES256", es256]]);
  const targetSigned = () => target("ES256 warm, to HS256", es256.rps / hs256.rps, 0.95);

  const targetGet = () => {
    target("GET, to Hono + jose", oursGet.rps / honoGet.rps, 1.2);
    if (before) target("GET, to the previous build", oursGet.rps / previousGet.rps, 1);
  };
  if (process.env.BENCH_ONLY === "reads") {
    targetGet();
    return targetSigned();
  }
  const [nullCreate, honoCreate, objectsCreate, oursCreate, previousCreate] = measure([
    [nullRelay, 201, creates], [hono, 201, creates], [objects, 201, creates], [ours, 201, creates], ...(before ? [[previous, 201, creates]] : []),
  ], creating);
  print(`create, ${creating} at a time (the relays keep no state; Valetkey and the two objects reserve, submit and settle)`, [
    ["null relay", nullCreate], ["Hono + jose", honoCreate], ["JavaScript, two objects", objectsCreate], ["Valetkey", oursCreate],
    ...(before ? [["the previous build", previousCreate]] : []),
  ]);

  console.log("\ntargets");
  targetGet();
  targetSigned();
  if (before) target("create, to the previous build", oursCreate.rps / previousCreate.rps, 1);
  target("create, to the same two objects in JavaScript", oursCreate.rps / objectsCreate.rps, 0.9);
  target("401, to Hono + jose", oursRefused.rps / honoRefused.rps, 0.85);
  memory(ours, id, good, bad);
}

/** Prints resident memory after 50,000 requests, and after 100,000 more, of several kinds and with many tokens. */
function memory(ours, id, good, bad) {
  const mixed = [
    wire("GET", `/v1/predictions/${id}`, good),
    ...Array.from({ length: 2_000 }, (_, user) => wire("GET", "/v1/predictions?limit=1", token(`reader-${user % 50}`, 300 + (user % 500)))),
  ];
  const refused = [wire("GET", `/v1/predictions/${id}`, bad)];
  const send = (count) => {
    let sent = 0;
    while (sent < count) sent += load(ours, 200, mixed, 2).requests + load(ours, 401, refused, 1).requests;
    return sent;
  };
  const warm = send(50_000);
  const before = ours.residentMegabytes();
  const sent = send(100_000);
  const after = ours.residentMegabytes();
  console.log(`\nmemory: ${before.toFixed(0)} MB resident after ${warm} requests, ${after.toFixed(0)} MB after ${sent} more (${(((after - before) / before) * 100).toFixed(1)} %)`);
}

try {
  await main();
} finally {
  for (const stop of stops) stop();
  rmSync(directory, { recursive: true, force: true });
}
