// Everything that the page talks to, on free ports: the simulator, and the built Worker on real workerd.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { developmentVars, wranglerConfig } from "../../scripts/development.mjs";
import { Service } from "./processes.mjs";
import { Simulator } from "./simulator.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const KEY_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PREDICTION_MS = 1_500;
/** Who signs tokens and for whom: what scripts/development.mjs tells the Worker. */
const SESSION = { SESSION_ISSUER: "http://127.0.0.1/demo", SESSION_AUDIENCE: "demo" };

/** `sk_live_` and 32 characters that nothing else contains by chance. */
function newVendorKey() {
  return `sk_live_${Array.from(randomBytes(32), (byte) => KEY_CHARACTERS[byte % KEY_CHARACTERS.length]).join("")}`;
}

function required(path, what) {
  if (!existsSync(path)) throw new Error(`${what} is missing: ${path}. Run \`make build simulator\` first.`);
  return path;
}

/**
 * Starts both. `settings(origin)` are settings of the Worker at `origin` that replace those of `make dev`; `plans` are added to its
 * policy, `key` is that policy's part about the vendor's key; a prediction takes `predictionMs`.
 */
export async function startStack({ settings = () => ({}), plans = {}, key, predictionMs = PREDICTION_MS } = {}) {
  const worker = required(join(ROOT, "build/index.js"), "the built Worker");
  const binary = required(resolve(ROOT, process.env.SIMULATOR_BIN || "target/debug/valetkey-simulator"), "the simulator");
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-browser-")));
  const services = [];
  const killAll = () => {
    services.forEach((service) => service.kill());
    rmSync(directory, { recursive: true, force: true });
  };
  process.once("exit", killAll);
  const stack = {
    vendorKey: newVendorKey(),
    predictionMs,
    logs: () => services.map((service) => service.log).join("\n"),
    stop: async () => {
      await Promise.all(services.map((service) => service.stop()));
      process.removeListener("exit", killAll);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    stack.session = { ...SESSION, SESSION_SECRET: randomBytes(48).toString("base64url") };
    stack.simulator = await startSimulator(services, binary, stack, predictionMs);
    stack.origin = await startWorker(services, worker, directory, stack, { settings, plans, key });
    return stack;
  } catch (error) {
    console.error(stack.logs());
    await stack.stop();
    throw error;
  }
}

async function startSimulator(services, binary, { vendorKey, session }, predictionMs) {
  const flags = ["--port", "0", "--control-port", "0", "--key", vendorKey, "--prediction-ms", String(predictionMs)];
  const service = new Service("simulator", binary, flags, session);
  services.push(service);
  const [, origin, control] = await service.line(/simulator ready (http:\S+) control (http:\S+)/);
  const simulator = new Simulator(origin, control);
  // The vendor's limits have tests of their own; here they would only make failures of other kinds.
  await simulator.settings({ requests_per_minute: null, concurrent_limit: null });
  return simulator;
}

/** A port that is free now: the Worker's settings name its origin, so that it is needed before wrangler could choose one. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function startWorker(services, worker, directory, { simulator, vendorKey, session }, { settings, plans, key }) {
  const site = join(directory, "site");
  execFileSync(process.execPath, [join(ROOT, "site/build.mjs")], {
    env: { ...process.env, SITE_OUT: site, SESSION_URL: `${simulator.origin}/session` },
    stdio: ["ignore", "ignore", "inherit"],
  });
  // A copy: wrangler watches its sources, and a build meanwhile would restart the Worker in the middle of a test.
  const build = join(directory, "build");
  cpSync(dirname(worker), build, { recursive: true });
  const config = join(directory, "wrangler.json");
  writeFileSync(config, JSON.stringify({ ...wranglerConfig(ROOT, site), main: join(build, basename(worker)) }));
  const port = await freePort();
  const changes = settings(`http://127.0.0.1:${port}`);
  const vars = developmentVars({ vendorKey, sessionSecret: session.SESSION_SECRET, simulator: simulator.origin, plans, key, changes });
  writeFileSync(join(directory, ".dev.vars"), vars, { mode: 0o600 });

  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const flags = ["--config", config, "--port", String(port), "--inspector-port", "0", "--persist-to", join(directory, "state")];
  const service = new Service("worker", process.execPath, [wrangler, "dev", "--ip", "127.0.0.1", ...flags], {
    CI: "1",
    WRANGLER_SEND_METRICS: "false",
    // Wrangler's own settings and logs stay out of the home directory.
    XDG_CONFIG_HOME: join(directory, "config"),
    WRANGLER_LOG_PATH: join(directory, "logs"),
  });
  services.push(service);
  const [, origin] = await service.line(/Ready on (http:\/\/127\.0\.0\.1:\d+)/);
  const ready = await fetch(`${origin}/readyz`);
  if (!ready.ok) throw new Error(`/readyz answered ${ready.status}: ${await ready.text()}`);
  return origin;
}
