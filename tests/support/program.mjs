// Programs of other languages as a user runs them: what is there to run them with, and what they print.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const PROGRAM_TIMEOUT_MS = 60_000;

/** The first of these Pythons that has `packages` of tests/requirements.txt: PYTHON_BIN, the Makefile's, the machine's. */
export function findPython(packages = "jwt, requests") {
  const candidates = [process.env.PYTHON_BIN, join(ROOT, ".tools/python/bin/python"), "python3"].filter(Boolean);
  return candidates.find((python) => spawnSync(python, ["-c", `import ${packages}`]).status === 0);
}

/** The machine's curl. */
export function findCurl() {
  const path = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "curl"));
  return path.find((curl) => existsSync(curl));
}

/** Runs a program to its end. Its environment is `env` and nothing else. */
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
