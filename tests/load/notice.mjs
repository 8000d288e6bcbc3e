// `make bench`, second part: how soon a client knows that its prediction has ended, and what that costs (README.md).
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startWorker } from "./workerd.mjs";

const root = resolve(import.meta.dirname, "../..");
const predictions = Number(process.env.NOTICE_PREDICTIONS ?? "200");
const seconds = Number(process.env.NOTICE_SECONDS ?? "60");
const secret = "a-secret-of-the-benchmark-alone-0123456789";
const directory = mkdtempSync(join(tmpdir(), "valetkey-notice-"));

/** The vendor: each prediction runs until `end` is called with its prompt. */
function startVendor() {
  const byPrompt = new Map();
  const byId = new Map();
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    let prediction = byId.get(request.url.split("/").at(-1));
    if (request.method === "POST") {
      const { input, webhook } = JSON.parse(body);
      prediction = { id: `p${byId.size}`, status: "processing", hook: webhook };
      byId.set(prediction.id, prediction);
      byPrompt.set(input.prompt, prediction);
    }
    const { id, status } = prediction ?? {};
    const output = status === "succeeded" ? { output: ["https://cdn.example/a.png"], credits_used: 1 } : {};
    response.writeHead(id === undefined ? 404 : request.method === "POST" ? 201 : 200, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ id, status, ...output }));
    if (status === "succeeded") prediction.answeredAt ??= performance.now();
  });
  const end = (prompt) => Object.assign(byPrompt.get(prompt), { status: "succeeded" });
  return { server, end };
}

function token(subject) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const input = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ iss: "https://issuer.example", aud: "bench", sub: subject, iat: now, exp: now + 900 })}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

async function startOurs(vendor, name) {
  const many = { requests_per_minute: 1_000_000, concurrent_predictions: 1_000 };
  return startWorker(root, join(directory, name), {
    files: { "counted.js": join(root, "tests/load/counted.js"), "index.js": join(root, "build/index.js"), "core.wasm": join(root, "build/core.wasm") },
    bindings: {
      UPSTREAM_URL: `http://127.0.0.1:${vendor.server.address().port}`,
      DEEPCREATIVE_API_KEY: "sk_live_BenchBenchBenchBench0",
      TEST_SECRET: secret,
      PUBLIC_URL: "https://valetkey.example",
      ALLOWED_ORIGINS: "none",
      LOG_LEVEL: "error",
      ISSUERS: JSON.stringify([{ issuer: "https://issuer.example", audience: ["bench"], keys: { secret: "TEST_SECRET" }, algorithms: ["HS256"] }]),
      POLICY: JSON.stringify({
        plans: { default: { ...many, predictions_per_minute: 1_000_000, daily_credits: "1000000000" } },
        models: { "acme/model-x": { credits: "1", input: { prompt: { type: "string", required: true } } } },
        key: many,
      }),
    },
    objects: ["Ledger", "Dispatcher"],
  });
}

async function send(ours, bearer, path, body) {
  const headers = { Authorization: `Bearer ${bearer}`, "Content-Type": "application/json" };
  const response = await fetch(`http://${ours.address}${path}`, { method: body === undefined ? "GET" : "POST", headers, body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

async function create(ours, bearer, prompt) {
  const body = JSON.stringify({ input: { prompt } });
  return (await (await send(ours, bearer, "/v1/acme/model-x/predictions", body)).json()).job_id;
}

/** Opens the events of a prediction. Resolves, once the first event was read, to [a promise of the end's time]. */
async function stream(ours, bearer, id) {
  const reader = (await send(ours, bearer, `/v1/predictions/${id}/events`)).body.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  const end = async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the stream ended early");
      if (value.includes('"succeeded"')) return performance.now();
    }
  };
  return [end()];
}

/** Reads a prediction every second. Resolves to [a promise of the end's time]. */
async function poll(ours, bearer, id) {
  const end = async () => {
    for (;;) {
      const { status } = await (await send(ours, bearer, `/v1/predictions/${id}`)).json();
      if (status === "succeeded") return performance.now();
      await sleep(1_000);
    }
  };
  return [end()];
}

/** Ends one prediction after another and calls its webhook. Returns the milliseconds from the webhook, and from the vendor's answer. */
async function measure(ours, vendor, follow) {
  const times = [];
  const one = async (number) => {
    const prompt = `${follow.name} ${number}`;
    const bearer = token(prompt);
    const [end] = await follow(ours, bearer, await create(ours, bearer, prompt));
    // A moment that does not depend on when the client began.
    await sleep(500 + Math.random() * 1_000);
    const prediction = vendor.end(prompt);
    const calledAt = performance.now();
    const called = fetch(`http://${ours.address}${new URL(prediction.hook).pathname}`, { method: "POST" });
    const endedAt = await end;
    await called;
    times.push([endedAt - calledAt, endedAt - prediction.answeredAt]);
  };
  const lane = async (first) => {
    for (let number = first; number < predictions; number += 4) await one(number);
  };
  await Promise.all([0, 1, 2, 3].map(lane));
  return [0, 1].map((which) => times.map((time) => time[which]).toSorted((a, b) => a - b));
}

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1).padStart(7);
const row = (name, sorted) => console.log(`  ${name.padEnd(46)} p50 ${quantile(sorted, 0.5)} ms   p99 ${quantile(sorted, 0.99)} ms`);

/** Returns the requests to objects while a prediction runs and is followed, without those of the create. */
async function requestsOf(ours, vendor, follow) {
  const count = async () => (await fetch(`http://${ours.address}/object-requests`)).json();
  const [prompt, bearer] = [`counted ${follow.name}`, token(`counted ${follow.name}`)];
  const id = await create(ours, bearer, prompt);
  const before = await count();
  const [end] = await follow(ours, bearer, id);
  await sleep(seconds * 1_000);
  vendor.end(prompt);
  await end;
  return (await count()) - before;
}

const vendor = startVendor();
const stops = [() => vendor.server.close()];
try {
  vendor.server.listen(0, "127.0.0.1");
  await once(vendor.server, "listening");
  const ours = await startOurs(vendor, "told");
  const other = await startOurs(vendor, "asked");
  stops.push(ours.stop, other.stop);
  console.log(`\nhow soon a client knows that its prediction has ended: ${predictions} predictions, 4 at a time`);
  const [hookToEvent, answerToEvent] = await measure(ours, vendor, stream);
  row("webhook to event", hookToEvent);
  row("vendor's answer to a poll, to event", answerToEvent);
  const [hookToPoll, answerToPoll] = await measure(ours, vendor, poll);
  row("webhook to a client that polls every second", hookToPoll);
  row("vendor's answer to a poll, to the same client", answerToPoll);
  console.log(`  wanted: webhook to event within 50 ms at the median: ${hookToEvent[Math.floor(hookToEvent.length / 2)] <= 50 ? "met" : "missed"}`);
  const [told, asked] = await Promise.all([requestsOf(ours, vendor, stream), requestsOf(other, vendor, poll)]);
  console.log(`  requests to objects for a prediction of ${seconds} s: ${told} with an event stream, ${asked} with a poll every second`);
} finally {
  for (const stop of stops) stop();
  vendor.server.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
}
