// `make dev`: starts the Worker on workerd and the simulator, which is the vendor and the app's backend in one. Prints
// the URLs of the demo page and of the operator's page.
//
// Each checkout generates its own secrets once. Secrets and settings are in .dev/, which git ignores.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { developmentVars, wranglerConfig } from "./development.mjs";

const root = resolve(import.meta.dirname, "..");
const dev = join(root, ".dev");
const port = process.env.PORT ?? "8787";
const simulatorPort = process.env.SIM_PORT ?? "8788";
const controlPort = process.env.CONTROL_PORT ?? "8789";
const children = [];

/** Returns this checkout's secrets. The first run generates them and stores them in .dev/secrets.json. */
function secrets() {
  const path = join(dev, "secrets.json");
  const made = {
    vendorKey: `sk_live_${randomBytes(24).toString("base64url")}`,
    sessionSecret: randomBytes(48).toString("base64url"),
    operatorSecret: randomBytes(48).toString("base64url"),
  };
  const all = { ...made, ...(existsSync(path) && JSON.parse(readFileSync(path, "utf8"))) };
  writeFileSync(path, JSON.stringify(all), { mode: 0o600 });
  return all;
}

/** Prints the time and the name of a step, as the Makefile does. */
function step(name) {
  console.log(`${new Date().toTimeString().slice(0, 8)}  start: ${name}`);
}

/** Starts a child and resolves once it prints `ready`. It leads a process group, so that `stop` ends its children. */
function start(command, args, env, ready) {
  return new Promise((started, failed) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    let output = "";
    const show = (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
      if (output.includes(ready)) started(child);
    };
    child.stdout.on("data", show);
    child.stderr.on("data", show);
    child.on("exit", (code) => {
      failed(new Error(`${command} exited with code ${code}`));
      stop(1);
    });
  });
}

function stop(code) {
  for (const child of children.splice(0)) {
    child.removeAllListeners("exit");
    try {
      process.kill(-child.pid, "SIGTERM");
    } catch {
      // The process group has already exited.
    }
  }
  process.exit(code);
}

process.on("SIGINT", () => stop(0));
process.on("SIGTERM", () => stop(0));

mkdirSync(dev, { recursive: true });
const { vendorKey, sessionSecret, operatorSecret } = secrets();
const simulator = `http://127.0.0.1:${simulatorPort}`;
await cp(join(root, "dist/site"), join(dev, "site"), { recursive: true });
writeFileSync(join(dev, "wrangler.json"), JSON.stringify(wranglerConfig(root, join(dev, "site"))));
const vars = developmentVars({ vendorKey, sessionSecret, operatorSecret, simulator });
writeFileSync(join(dev, ".dev.vars"), vars, { mode: 0o600 });

step("the simulator");
await start(
  process.env.SIMULATOR_BIN ?? join(root, "target/debug/valetkey-simulator"),
  ["--port", simulatorPort, "--control-port", controlPort, "--key", vendorKey],
  { SESSION_ISSUER: "http://127.0.0.1/demo", SESSION_AUDIENCE: "demo", SESSION_SECRET: sessionSecret },
  "simulator ready",
);
step("the Worker on workerd");
await start(
  process.execPath,
  [join(root, "node_modules/wrangler/bin/wrangler.js"), "dev", "--config", join(dev, "wrangler.json"), "--port", port,
    "--inspector-port", "0", "--persist-to", join(dev, "state"), "--show-interactive-dev-session=false"],
  { CI: "true" },
  "Ready on",
);
const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
if (!ready.ok) {
  console.error(`The settings in .dev/.dev.vars are wrong: ${await ready.text()}`);
  stop(1);
}
console.log(`
Valetkey is running.

  Demo page           http://127.0.0.1:${port}/
  Token for curl      make token SUB=alice
  Operator's page     http://127.0.0.1:${port}/admin/
  Token for it        make operator-token
  Simulator state     http://127.0.0.1:${controlPort}/state

Press Ctrl+C to stop.`);
