// A machine of a user of the packed tool: Node, npm and a shell, and no Rust, make or wrangler.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { after } from "node:test";

export const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(ROOT, "dist");
/** A key of the vendor's form that nobody has. */
export const VENDOR_KEY = "sk_live_Test0Test1Test2Test3Test4";
/** What npm and the tool run. */
const PROGRAMS = ["npm", "npx", "sh", "cat", "env", "git", "uname"];

/** Returns the tarball that `make bundle` packed. */
export function tarball() {
  const name = existsSync(DIST) && readdirSync(DIST).find((file) => /^create-valetkey-.*\.tgz$/.test(file));
  if (!name) throw new Error("dist/create-valetkey-*.tgz is missing: run `make bundle` first");
  return join(DIST, name);
}

function find(program) {
  const folder = process.env.PATH.split(delimiter).find((folder) => existsSync(join(folder, program)));
  if (folder === undefined) throw new Error(`${program} is not on the PATH`);
  return realpathSync(join(folder, program));
}

/** The environment without what Rust, CI and the test runner put there. */
function withoutRust(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(CARGO|RUST|CI$|NODE_TEST|MAKE|ESBUILD_BIN|WASM_|SIMULATOR)/.test(name)));
}

/** The longest that one command may take. */
const TIMEOUT_MS = 180_000;

export class Machine {
  constructor() {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-cli-")));
    const bin = join(this.folder, "bin");
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, "node"));
    for (const program of PROGRAMS) symlinkSync(find(program), join(bin, program));
    this.work = join(this.folder, "work");
    mkdirSync(this.work);
    this.env = {
      // npm needs what this machine sets for its registry.
      ...withoutRust(process.env),
      PATH: bin,
      WRANGLER_SEND_METRICS: "false",
      // Keeps wrangler's settings and logs, and npm's cache, out of the home directory: npm starts with nothing.
      XDG_CONFIG_HOME: join(this.folder, "config"),
      WRANGLER_LOG_PATH: join(this.folder, "logs"),
      npm_config_cache: join(this.folder, "npm-cache"),
      npm_config_update_notifier: "false",
    };
  }

  /** Runs a program and resolves with its exit code and both outputs. */
  run(program, args, { cwd = this.work, env = {}, input } = {}) {
    return new Promise((resolve) => {
      const child = execFile(program, args, { cwd, env: { ...this.env, ...env }, encoding: "utf8", timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? 1), stdout, stderr, all: stdout + stderr });
      });
      // A program may end before it reads.
      child.stdin.on("error", () => {}).end(input ?? "");
    });
  }

  /** Runs the tool that is installed in a folder. */
  valetkey(folder, args, options = {}) {
    return this.run("npx", ["--no-install", "valetkey", ...args], { cwd: folder, ...options });
  }

  /** Starts the tool in a process group of its own. Resolves once it prints `ready`. */
  start(folder, args, ready, env = {}) {
    const child = spawn("npx", ["--no-install", "valetkey", ...args], { cwd: folder, env: { ...this.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const service = { output: () => output, stop: () => stop(child) };
    return new Promise((resolve, reject) => {
      const read = (chunk) => {
        output += chunk;
        if (output.includes(ready)) resolve(service);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("exit", (code) => reject(new Error(`valetkey ${args.join(" ")} exited with ${code}:\n${output}`)));
    });
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The longest that a tool may take to stop: it removes its files first. */
const STOP_TIMEOUT_MS = 30_000;

/** Ends a process group as Ctrl+C does, and what is left of it later. */
async function stop(child) {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid, "SIGINT");
  const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(late);
}

/** Unpacks the tarball, and returns the path of its tool: without npm, for tests of many runs. */
export function unpack(folder) {
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-xzf", tarball(), "-C", folder]);
  return join(folder, "package");
}

/** Unpacks the tool into a folder that the end of the tests removes, and creates a gateway in it. */
export async function createGateway(name, flags = []) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `valetkey-${name}-`)));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const tool = unpack(join(folder, "tool"));
  const created = await runTool(tool, ["create", "my-gateway", "--yes", "--no-install", ...flags], { cwd: folder });
  assert.equal(created.code, 0, created.all);
  return { folder, tool, gateway: join(folder, "my-gateway") };
}

/** Runs the unpacked tool. */
export function runTool(tool, args, { cwd, env = {} } = {}) {
  const bin = join(tool, "bin", args[0] === "create" ? "create-valetkey.mjs" : "valetkey.mjs");
  const rest = args[0] === "create" ? args.slice(1) : args;
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [bin, ...rest], { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, encoding: "utf8", timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 1), stdout, stderr, all: stdout + stderr });
    });
    child.stdin.on("error", () => {}).end();
  });
}

/** Returns whether tests/cli/terminal.py can run, which needs Python. CI has it. */
export function hasTerminal() {
  try {
    execFileSync("python3", ["-c", "import pty"], { stdio: "ignore" });
    return true;
  } catch (error) {
    if (process.env.CI) throw error;
    return false;
  }
}

/** Every tracked file of a folder, with its text. */
export function trackedFiles(folder) {
  execFileSync("git", ["init", "--quiet"], { cwd: folder });
  execFileSync("git", ["add", "--all"], { cwd: folder });
  const files = execFileSync("git", ["ls-files"], { cwd: folder, encoding: "utf8" }).trim().split("\n");
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(folder, file), "latin1")]));
}

/** Appends the vendor's key to .dev.vars. */
export function addVendorKey(folder) {
  const path = join(folder, ".dev.vars");
  writeFileSync(path, `${readFileSync(path, "utf8")}DEEPCREATIVE_API_KEY='${VENDOR_KEY}'\n`, { mode: 0o600 });
}

