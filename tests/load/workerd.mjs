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

/** A second Worker that can end the instances of the objects (tests/shipped/backdoor.js). */
function backdoorService(bound) {
  const remote = bound.map((name) => `(name = "${name.toUpperCase()}", durableObjectNamespace = (className = "${name}", serviceName = "main"))`);
  return `(name = "backdoor", worker = (
      modules = [(name = "backdoor.js", esModule = embed "backdoor.js")],
      compatibilityDate = "2026-10-01", compatibilityFlags = ["unsafe_module"], bindings = [${remote.join(", ")}])),`;
}

function config({ modules, bindings, objects, backdoor }) {
  const kind = (value) => (typeof value === "string" ? `text = ${text(value)}` : `json = ${text(text(value))}`);
  const texts = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, ${kind(value)})`);
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
    ${backdoor === undefined ? "" : backdoorService(objects)}
    (name = "storage", disk = (path = "storage", writable = true)),
    (name = "loopback", network = (allow = ["local", "private"])),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (), service = "main"),
    ${backdoor === undefined ? "" : '(name = "backdoor", address = "127.0.0.1:0", http = (), service = "backdoor"),'}
  ],
);
`;
}

/**
 * Starts a Worker from `files` (module name → path). A binding is text, or JSON if it is not a string. With the path of
 * backdoor.js as `backdoor`, its objects can be reset. Resolves to its `address`, `stop()`, `residentMegabytes()`, `resetObjects()` and
 * `errors()`, the end of its stderr.
 */
export async function startWorker(root, directory, { files, bindings, objects = [], flags = [], backdoor }) {
  mkdirSync(join(directory, "storage"), { recursive: true });
  for (const [name, path] of Object.entries(files)) copyFileSync(path, join(directory, name));
  if (backdoor !== undefined) copyFileSync(backdoor, join(directory, "backdoor.js"));
  writeFileSync(join(directory, "workerd.capnp"), config({ modules: Object.keys(files), bindings, objects, backdoor }));
  const experimental = backdoor === undefined ? [] : ["--experimental"];
  const child = spawn(workerdBinary(root), ["serve", "--control-fd=3", ...experimental, ...flags, "workerd.capnp"], {
    cwd: directory,
    // The log is discarded for every Worker: the benchmark does not measure writing it.
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk) => (errors = (errors + chunk).slice(-10_000)));
  const ports = await new Promise((resolve, reject) => {
    let events = "";
    child.stdio[3].on("data", (chunk) => {
      events += chunk;
      const found = Object.fromEntries([...events.matchAll(/"socket":"(\w+)","port":(\d+)/g)].map(([, socket, port]) => [socket, port]));
      if (found.http !== undefined && (backdoor === undefined || found.backdoor !== undefined)) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`workerd exited with ${code}: ${errors}`)));
  });
  const stop = () => {
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  };
  const residentMegabytes = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024;
  const resetObjects = () => fetch(`http://127.0.0.1:${ports.backdoor}/abort-all`);
  return { address: `127.0.0.1:${ports.http}`, pid: child.pid, stop, residentMegabytes, resetObjects, errors: () => errors };
}
