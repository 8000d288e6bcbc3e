// Starts what a client under test talks to, on free ports: the simulator, and the built Worker on real workerd.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { developmentVars, wranglerConfig } from "../../scripts/development.mjs";
import { freePort } from "./ports.mjs";
import { Service } from "./processes.mjs";
import { Simulator } from "./simulator.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const KEY_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PREDICTION_MS = 1_500;
/** Issuer and audience of the session tokens. They equal those in scripts/development.mjs. */
const SESSION = { SESSION_ISSUER: "http://127.0.0.1/demo", SESSION_AUDIENCE: "demo" };

/** Returns `sk_live_` and 32 random characters, which nothing else contains by chance. */
function newVendorKey() {
  return `sk_live_${Array.from(randomBytes(32), (byte) => KEY_CHARACTERS[byte % KEY_CHARACTERS.length]).join("")}`;
}

function required(path, what) {
  if (!existsSync(path)) throw new Error(`${what} is missing: ${path}. Run \`make build simulator\` first.`);
  return path;
}

/**
 * Starts the simulator and the Worker.
 *
 * - `settings(origin, simulator)`: returns settings of the Worker at `origin` that replace those of `make dev`
 * - `plans`: added to the policy's plans
 * - `key`: the policy's `key`, the limits of the vendor key
 * - `predictionMs`: how long a prediction takes
 * - `host`: the Worker is called by this name over https, as a deployment is, and reaches the simulator where a deployment
 *   reaches the vendor and Turnstile
 * - `session`: issuer and audience of the session tokens
 */
export async function startStack({ settings = () => ({}), plans = {}, key, predictionMs = PREDICTION_MS, host, session = SESSION } = {}) {
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
    stack.session = { ...session, SESSION_SECRET: randomBytes(48).toString("base64url") };
    stack.simulator = await startSimulator(services, binary, stack, predictionMs);
    stack.origin = await startWorker(services, worker, directory, stack, { settings, plans, key, host });
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
  // Other tests cover the vendor's limits. Here they would only cause unrelated failures.
  await simulator.settings({ requests_per_minute: null, concurrent_limit: null });
  return simulator;
}

async function startWorker(services, worker, directory, { simulator, vendorKey, session }, { settings, plans, key, host }) {
  const site = join(directory, "site");
  execFileSync(process.execPath, [join(ROOT, "site/build.mjs")], {
    env: { ...process.env, SITE_OUT: site },
    stdio: ["ignore", "ignore", "inherit"],
  });
  // A copy, because wrangler watches its sources: a build during a test would restart the Worker.
  const build = join(directory, "build");
  cpSync(dirname(worker), build, { recursive: true });
  const main = join(build, host === undefined ? basename(worker) : "deployed.js");
  if (host !== undefined) writeDeployed(build, basename(worker), simulator.origin, host);
  const config = join(directory, "wrangler.json");
  writeFileSync(config, JSON.stringify({ ...wranglerConfig(ROOT, site), main }));
  // wrangler cannot choose it, because the Worker's settings contain the Worker's origin.
  const port = await freePort();
  const changes = settings(`http://127.0.0.1:${port}`, simulator);
  const vars = developmentVars({ vendorKey, sessionSecret: session.SESSION_SECRET, simulator: simulator.origin, plans, key, changes });
  writeFileSync(join(directory, ".dev.vars"), vars, { mode: 0o600 });

  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const https = host === undefined ? [] : ["--local-protocol", "https", "--upstream-protocol", "https", "--local-upstream", host];
  const flags = [...https, "--config", config, "--port", String(port), "--inspector-port", "0", "--persist-to", join(directory, "state")];
  const service = new Service("worker", process.execPath, [wrangler, "dev", "--ip", "127.0.0.1", ...flags], {
    CI: "1",
    WRANGLER_SEND_METRICS: "false",
    // Keeps wrangler's own settings and logs out of the home directory.
    XDG_CONFIG_HOME: join(directory, "config"),
    WRANGLER_LOG_PATH: join(directory, "logs"),
  });
  services.push(service);
  const [, origin] = await service.line(/Ready on (https?:\/\/127\.0\.0\.1:\d+)/);
  // Its certificate is its own, which only the browser is told to accept.
  if (host !== undefined) return origin;
  const ready = await fetch(`${origin}/readyz`);
  if (!ready.ok) throw new Error(`/readyz responded with status ${ready.status}: ${await ready.text()}`);
  return origin;
}

/**
 * Writes a Worker that is the built one, except that all its requests go to the simulator. That accepts no https address
 * for its webhooks, so it is told its own.
 */
function writeDeployed(build, worker, simulator, host) {
  const outbound = `
    const send = globalThis.fetch;
    globalThis.fetch = (input, init) => {
      const { pathname, search } = new URL(input);
      const body = typeof init?.body === "string" ? init.body.replace(${JSON.stringify(`"https://${host}/`)}, ${JSON.stringify(`"${simulator}/`)}) : init?.body;
      return send(${JSON.stringify(simulator)} + pathname + search, { ...init, body });
    };`;
  writeFileSync(join(build, "outbound.js"), outbound);
  writeFileSync(join(build, "deployed.js"), `import "./outbound.js";\nexport * from "./${worker}";\nexport { default } from "./${worker}";\n`);
}
