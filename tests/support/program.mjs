// Runs programs in other languages as a user does: finds Python and curl, and collects the output.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const PROGRAM_TIMEOUT_MS = 60_000;

/** Returns the first Python that can import `packages`: PYTHON_BIN, the Makefile's or `python3`; else `undefined`. */
export function findPython(packages = "jwt, requests") {
  const candidates = [process.env.PYTHON_BIN, join(ROOT, ".tools/python/bin/python"), "python3"].filter(Boolean);
  return candidates.find((python) => spawnSync(python, ["-c", `import ${packages}`]).status === 0);
}

/** Returns the path of the machine's curl, or `undefined`. */
export function findCurl() {
  const path = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "curl"));
  return path.find((curl) => existsSync(curl));
}

/** Runs a program until it exits, 60 s at most. `env` is its whole environment. `code` is its exit code or signal. */
export function run(command, args, { cwd, env }) {
  return new Promise((ended, failed) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: PROGRAM_TIMEOUT_MS });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) {
      child[name].setEncoding("utf8").on("data", (chunk) => {
        output[name] += chunk;
      });
    }
    child.once("error", failed);
    child.once("close", (code, signal) => ended({ code: code ?? signal, ...output }));
  });
}
