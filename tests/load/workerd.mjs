// Starts Workers under plain `workerd serve`, one process each, and stops them.
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const text = JSON.stringify;

function workerdBinary(root) {
  const packages = join(root, "node_modules/@cloudflare");
  const name = readdirSync(packages).find((entry) => entry.startsWith("workerd-"));
  return join(packages, name, "bin/workerd");
}

function config({ modules, bindings, objects }) {
  const texts = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  const namespaces = objects.map((name) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`);
  const bound = objects.map((name) => `(name = "${name.toUpperCase()}", durableObjectNamespace = "${name}")`);
  const loaded = modules.map((name) => `(name = "${name}", ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed "${name}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${loaded.join(", ")}],
      compatibilityDate = "2026-10-01", compatibilityFlags = ["enable_request_signal"],
      bindings = [${[...texts, ...bound].join(", ")}],
      durableObjectNamespaces = [${namespaces.join(", ")}],
      durableObjectStorage = (localDisk = "storage"), globalOutbound = "loopback")),
    (name = "storage", disk = (path = "storage", writable = true)),
    (name = "loopback", network = (allow = ["local", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;
}

/**
 * Starts a Worker from `files` (module name → path). Resolves to its `address`, `stop()`, `residentMegabytes()` and
 * `errors()`, the end of its stderr.
 */
export async function startWorker(root, directory, { files, bindings, objects = [], flags = [] }) {
  mkdirSync(join(directory, "storage"), { recursive: true });
  for (const [name, path] of Object.entries(files)) copyFileSync(path, join(directory, name));
  writeFileSync(join(directory, "workerd.capnp"), config({ modules: Object.keys(files), bindings, objects }));
  const child = spawn(workerdBinary(root), ["serve", "--control-fd=3", ...flags, "workerd.capnp"], {
    cwd: directory,
    // The log is discarded for every Worker: the benchmark does not measure writing it.
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk) => (errors = (errors + chunk).slice(-10_000)));
  const port = await new Promise((resolve, reject) => {
    child.stdio[3].on("data", (chunk) => {
      const found = /"event":"listen".*"port":(\d+)/.exec(String(chunk));
      if (found !== null) resolve(found[1]);
    });
    child.on("exit", (code) => reject(new Error(`workerd exited with ${code}: ${errors}`)));
  });
  const stop = () => {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  };
  const residentMegabytes = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024;
  return { address: `127.0.0.1:${port}`, pid: child.pid, stop, residentMegabytes, errors: () => errors };
}
