// Deployments, an interrupted rotation and a rollback of the built Worker, on workerd, while users create predictions: no error that
// a client sees, nothing lost, no unknown outcome. Only Cloudflare and wrangler are stand-ins.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { SignJWT } from "jose";
import { valetkey as valetkeyClient } from "../../clients/web/src/index.ts";
import { Service } from "../support/processes.mjs";
import { Simulator } from "../support/simulator.mjs";
import { Cloud } from "./cloud.mjs";
import { addVendorKey, ROOT, runTool, unpack, VENDOR_KEY } from "./machine.mjs";
import { MovingWorker } from "./moving_worker.mjs";

const MODEL = "black-forest-labs/flux-kontext-max";
const NEW_KEY = "sk_live_Next0Next1Next2Next3Next4";
/** How long the vendor takes to accept a create, and to make a picture. Long enough that something is always being sent. */
const CREATE_MS = 300;
const PREDICTION_MS = 500;

const folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-for-real-")));
const project = join(folder, "my-gateway");
const tool = unpack(join(folder, "tool"));
const vendor = await startVendor();
const worker = await new MovingWorker().start();
const cloud = await new Cloud().start();
after(async () => {
  cloud.stop();
  worker.stop();
  await vendor.service.stop();
  rmSync(folder, { recursive: true, force: true });
});

cloud.url = worker.url;
cloud.onDeploy = ({ id, build, vars, secrets }) => worker.move({ id, build, bindings: { ...vars, ...secrets, UPSTREAM_URL: `${vendor.simulator.origin}/v1` } });
const created = await runTool(tool, ["create", "my-gateway", "--yes", "--no-install"], { cwd: folder });
assert.equal(created.code, 0, created.all);
addVendorKey(project);
cloud.installWrangler(project);
raiseLimits();

async function startVendor() {
  const binary = resolve(ROOT, process.env.SIMULATOR_BIN || "target/debug/valetkey-simulator");
  const keys = [VENDOR_KEY, NEW_KEY].flatMap((key) => ["--key", key]);
  const service = new Service("simulator", binary, ["--port", "0", "--control-port", "0", ...keys, "--prediction-ms", String(PREDICTION_MS)]);
  const [, origin, control] = await service.line(/simulator ready (http:\S+) control (http:\S+)/);
  const simulator = new Simulator(origin, control);
  await simulator.settings({ requests_per_minute: null, concurrent_limit: null });
  await simulator.delay("create", CREATE_MS);
  return { service, simulator };
}

/** Limits are the subject of other tests. */
function raiseLimits() {
  const path = join(project, "valetkey.jsonc");
  const high = { '"requests_per_minute": 60': '"requests_per_minute": 100000', '"predictions_per_minute": 10': '"predictions_per_minute": 100000', '"daily_credits": "50"': '"daily_credits": "1000000"' };
  const text = Object.entries(high).reduce((text, [from, to]) => text.replaceAll(from, to), readFileSync(path, "utf8"));
  writeFileSync(path, text.replaceAll(/"concurrent_predictions": \d+/g, '"concurrent_predictions": 20'));
}

async function valetkey(args, env = {}) {
  return runTool(tool, args, { cwd: project, env: { CLOUDFLARE_API_TOKEN: "t", CI: "true", ...env } });
}

async function succeeds(args, env) {
  const { code, all, stdout } = await valetkey(args, env);
  assert.equal(code, 0, all);
  return stdout;
}

const status = async () => JSON.parse(await succeeds(["status", "--json"]));

async function until(isTrue) {
  const end = Date.now() + 60_000;
  while (!(await isTrue())) {
    assert.ok(Date.now() < end, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// --- users --------------------------------------------------------------------------------------------------------

const SECRET = /^APP_TOKEN_SECRET='(.*)'$/m.exec(readFileSync(join(project, ".dev.vars"), "utf8"))[1];

function token(subject) {
  const jwt = new SignJWT({}).setProtectedHeader({ alg: "HS256", typ: "JWT" }).setIssuer("https://app.example.com").setAudience("valetkey");
  return jwt.setSubject(subject).setIssuedAt().setExpirationTime("4m").sign(new TextEncoder().encode(SECRET));
}

const clientOf = (subject) => valetkeyClient({ baseUrl: worker.url, getToken: () => token(subject), allowHttp: true });

/** Makes pictures one after the other, with the TypeScript client, until it is told to stop. */
class User {
  ended = [];
  errors = [];
  #isStopped = false;

  constructor(subject) {
    this.done = this.#run(clientOf(subject));
  }

  stop() {
    this.#isStopped = true;
    return this.done;
  }

  async #run(client) {
    while (!this.#isStopped && this.errors.length === 0) {
      try {
        this.ended.push(await client.run(MODEL, { prompt: "A serene Japanese garden" }));
      } catch (error) {
        this.errors.push(`${error.code}: ${error.message}`);
      }
    }
  }
}

/** Waits until each user has ended `count` more predictions. */
async function more(users, count) {
  const before = users.map(({ ended }) => ended.length);
  await until(() => users.every(({ ended, errors }, index) => errors.length > 0 || ended.length >= before[index] + count));
}

// --- tests --------------------------------------------------------------------------------------------------------

test("a deployment, an interrupted rotation and a rollback under load: no error, nothing lost, no unknown outcome", async () => {
  await succeeds(["deploy"]);
  const users = ["alice", "bob", "carol", "dave"].map((subject) => new User(subject));
  await more(users, 1);

  await succeeds(["deploy"]);
  assert.equal((await status()).version.dispatcher.id, cloud.deployed.id);
  await more(users, 1);

  // The network goes away between the new version and its deployment.
  const env = { DEEPCREATIVE_API_KEY_NEXT: NEW_KEY };
  cloud.failNext("immediate");
  assert.equal((await valetkey(["rotate", "begin"], env)).code, 1);
  assert.equal((await status()).rotation.state, "none");
  await more(users, 1);
  await succeeds(["rotate", "begin"], env);
  await until(async () => (await status()).rotation.state === "safe_to_revoke");
  await more(users, 1);
  assert.match(await succeeds(["rotate", "finish"]), /Revoke the old key at the vendor/);
  await vendor.simulator.settings({ keys: { revoke: [VENDOR_KEY] } });
  await more(users, 1);

  // The version before has the revoked key.
  const refused = await valetkey(["rollback"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /it has another vendor key/);
  const finished = cloud.deployed.id;
  await succeeds(["deploy"]);
  assert.notEqual(cloud.deployed.id, finished);
  await succeeds(["rollback"]);
  assert.equal(cloud.deployed.id, finished);
  await more(users, 1);

  await Promise.all(users.map((user) => user.stop()));
  assert.deepEqual(users.flatMap(({ errors }) => errors), []);
  const ended = users.flatMap(({ ended }) => ended);
  assert.deepEqual(ended.filter(({ status }) => status !== "succeeded"), []);
  const creates = (await vendor.simulator.vendorRequests()).filter(({ method, path }) => method === "POST" && path.endsWith("/predictions"));
  assert.equal(creates.length, ended.length, "each was sent once");
  const { unknown_outcomes, pauses, rotation } = await status();
  assert.deepEqual([unknown_outcomes, pauses, rotation.state], [[], [], "none"]);
});

test("without a pause, the same deployment loses what is being sent", async () => {
  await vendor.simulator.clearFaults();
  await vendor.simulator.delay("create", 20_000);
  const ended = clientOf("erin").run(MODEL, { prompt: "A serene Japanese garden" }).then(() => "succeeded", ({ code }) => code);
  await until(async () => (await status()).submitting > 0);
  await succeeds(["deploy", "--no-pause"]);
  assert.equal(await ended, "outcome_unknown");
  assert.equal((await status()).unknown_outcomes.length, 1);
});
