// `make starts`: measures how many predictions a second one Dispatcher starts, by the vendor's response time. README.md says
// how to read the output.
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Service } from "../support/processes.mjs";
import { Simulator } from "../support/simulator.mjs";
import { startWorker } from "./workerd.mjs";

const root = resolve(import.meta.dirname, "../..");
const seconds = Number(process.env.STARTS_SECONDS ?? "30");
/** Milliseconds until the vendor responds to a create and to a poll. */
const latencies = (process.env.STARTS_LATENCIES ?? "200/200,1000/200,1000/1000").split(",").map((pair) => pair.split("/").map(Number));
const runMs = 10_000;
const secret = "a-secret-of-the-benchmark-alone-0123456789";
const vendorKey = "sk_live_BenchBenchBenchBench0";

function token(subject) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ iss: "https://issuer.example", aud: "bench", sub: subject, iat: now, exp: now + 900 })}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

/** A key whose requests and slots are never the limit, and a queue that is never empty. */
const policy = {
  plans: { default: { requests_per_minute: 1_000_000, predictions_per_minute: 1_000_000, concurrent_predictions: 1_000, max_waiting: 100, daily_credits: "1000000000" } },
  models: { "acme/model-x": { credits: "1", input: { prompt: { type: "string", required: true } } } },
  key: { requests_per_minute: 1_000_000, concurrent_predictions: 1_000 },
};

/** Keeps about twenty predictions of each of ten users waiting, until `isOver`. */
async function keepQueueFull(address, isOver) {
  const user = async (number) => {
    const headers = { Authorization: `Bearer ${token(`user-${number}`)}`, "Content-Type": "application/json" };
    const body = JSON.stringify({ input: { prompt: "A serene Japanese garden" } });
    while (!isOver()) {
      const queued = await (await fetch(`http://${address}/v1/predictions?status=queued&limit=100`, { headers })).json();
      for (let count = queued.data.length; count < 20 && !isOver(); count += 1) {
        const created = await fetch(`http://${address}/v1/acme/model-x/predictions`, { method: "POST", headers, body });
        if (created.status !== 201 && created.status !== 202) throw new Error(`create: ${created.status} ${await created.text()}`);
        await created.arrayBuffer();
      }
      await new Promise((done) => setTimeout(done, 250));
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, number) => user(number)));
}

/** Returns starts and vendor requests a second, in the steady state that follows the first runs' ends. */
async function measure(create, poll) {
  const directory = mkdtempSync(join(tmpdir(), "valetkey-starts-"));
  const binary = resolve(root, process.env.SIMULATOR_BIN || "target/debug/valetkey-simulator");
  const service = new Service("simulator", binary, ["--port", "0", "--control-port", "0", "--key", vendorKey, "--prediction-ms", String(runMs)]);
  let worker;
  try {
    const [, vendor, control] = await service.line(/simulator ready.*?(http:\/\/\S+).*?(http:\/\/\S+)/);
    const simulator = new Simulator(vendor, control);
    await simulator.settings({ requests_per_minute: null, concurrent_limit: null });
    await simulator.delay("create", create);
    await simulator.delay("get", poll);
    worker = await startWorker(root, directory, {
      files: { "index.js": join(root, "build/index.js"), "core.wasm": join(root, "build/core.wasm") },
      bindings: {
        UPSTREAM_URL: `${vendor}/v1`, DEEPCREATIVE_API_KEY: vendorKey, TEST_SECRET: secret, ALLOWED_ORIGINS: "none", LOG_LEVEL: "error",
        ISSUERS: JSON.stringify([{ issuer: "https://issuer.example", audience: ["bench"], keys: { secret: "TEST_SECRET" }, algorithms: ["HS256"] }]),
        POLICY: JSON.stringify(policy),
      },
      objects: ["Ledger", "Dispatcher"],
    });
    const from = Date.now() + 2 * runMs;
    const to = from + seconds * 1_000;
    await keepQueueFull(worker.address, () => Date.now() >= to);
    const { requests } = await simulator.requests();
    const counted = requests.filter(({ time_ms: at }) => at >= from && at < to);
    const of = (route) => counted.filter((request) => request.route === route).length / seconds;
    return { starts: of("create"), polls: of("get") };
  } finally {
    worker?.stop();
    await service.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

console.log(`One Dispatcher, runs of ${runMs / 1_000} s, a key whose limits are never reached; ${seconds} s each`);
for (const [create, poll] of latencies) {
  const { starts, polls } = await measure(create, poll);
  console.log(`  a vendor that responds to a create after ${create} ms and to a poll after ${poll} ms: ${starts.toFixed(1)} starts and ${polls.toFixed(1)} polls a second`);
}
