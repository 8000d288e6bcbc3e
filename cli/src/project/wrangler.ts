// wrangler, in the version that the folder's package.json pins.
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Failure } from "../failure.ts";
import type { Project } from "./folder.ts";

/** Returns the script that runs wrangler. */
function wranglerScript(project: Project): string {
  try {
    const manifest = createRequire(project.path("package.json")).resolve("wrangler/package.json");
    return join(dirname(manifest), "bin/wrangler.js");
  } catch {
    throw new Failure(`wrangler is not installed: run \`npm install\` in ${project.root}.`);
  }
}

/** Starts wrangler in the project's folder. `env` is added to this process's environment. */
export function startWrangler(project: Project, args: string[], stdio: StdioOptions, env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [wranglerScript(project), ...args], { cwd: project.root, stdio, env: environment(env) });
}

function environment(added: Record<string, string>): NodeJS.ProcessEnv {
  return { WRANGLER_SEND_METRICS: "false", ...process.env, ...added };
}

/** Resolves with a child's exit code. */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/** What a run of wrangler printed: `output` has both streams. */
export interface Ran {
  code: number;
  stdout: string;
  output: string;
}

/** Runs wrangler and returns its exit code and what it printed. */
export function runWrangler(project: Project, args: string[]): Promise<Ran> {
  return runWranglerWithInput(project, args, "");
}

/** The same, with a text on its standard input, which no other process can see. */
export async function runWranglerWithInput(project: Project, args: string[], input: string): Promise<Ran> {
  const child = startWrangler(project, args, ["pipe", "pipe", "pipe"], { CI: "true" });
  const ran = { stdout: "", output: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => ((ran.stdout += text), (ran.output += text)));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (ran.output += text));
  // wrangler may end before it reads.
  child.stdin?.on("error", () => {}).end(input);
  return { code: await exitOf(child), ...ran };
}

/**
 * Runs `wrangler deploy` with secrets and more flags, and shows what it prints. Returns its exit code.
 *
 * The secrets go through a pipe: a file could be left behind, and every process sees the arguments of the others. Node
 * connects its children by sockets, which cannot be opened as /dev/stdin, so a shell makes the pipe. Windows has neither.
 */
export async function deployWithSecrets(project: Project, secrets: Record<string, string>, flags: string[], env: Record<string, string>): Promise<number> {
  const text = JSON.stringify(secrets);
  if (process.platform === "win32") return deployWithFile(project, text, flags, env);
  const command = [process.execPath, wranglerScript(project), "deploy", ...flags, "--secrets-file", "/dev/stdin"];
  const options = { cwd: project.root, env: environment(env) };
  const child = spawn("sh", ["-c", 'cat | "$@"', "sh", ...command], { ...options, stdio: ["pipe", "inherit", "inherit"] });
  // The shell may end before it reads.
  child.stdin.on("error", () => {}).end(text);
  return exitOf(child);
}

async function deployWithFile(project: Project, text: string, flags: string[], env: Record<string, string>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "valetkey-"));
  try {
    const path = join(folder, "secrets.json");
    writeFileSync(path, text, { mode: 0o600 });
    return await exitOf(startWrangler(project, ["deploy", ...flags, "--secrets-file", path], "inherit", env));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
