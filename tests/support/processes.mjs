// Child processes that end with the test. Each leads a process group, so that its own children end with it.
import { spawn } from "node:child_process";

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

export class Service {
  #child;
  #name;
  #output = "";
  #exited;

  /** Starts `command` in the folder `cwd`. `env` is added to this process's environment. */
  constructor(name, command, args, env = {}, cwd = undefined) {
    this.#name = name;
    // `detached` creates the process group: wrangler starts workerd, which starts children of its own.
    this.#child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(`${name} exited with ${signal ?? code}`));
      this.#child.once("error", (error) => resolve(`${name} did not start: ${error.message}`));
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => {
        this.#output += chunk;
      });
    }
  }

  /** Everything that the process printed, under its name. */
  get log() {
    return `--- ${this.#name} ---\n${this.#output}`;
  }

  /** Returns the first match of `pattern` in the output. Rejects if the process exits before, or after 60 s. */
  async line(pattern) {
    let poll;
    let timer;
    const found = new Promise((resolve, reject) => {
      poll = setInterval(() => {
        const match = pattern.exec(this.#output);
        if (match !== null) resolve(match);
      }, 20);
      timer = setTimeout(() => reject(new Error(`${this.#name} printed no ${pattern}`)), READY_TIMEOUT_MS);
    });
    const ended = this.#exited.then((how) => Promise.reject(new Error(how)));
    try {
      return await Promise.race([found, ended]);
    } finally {
      clearInterval(poll);
      clearTimeout(timer);
    }
  }

  /** Ends the process group: SIGTERM, and SIGKILL after 5 s. */
  async stop() {
    this.#signal("SIGTERM");
    const late = setTimeout(() => this.#signal("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(late);
    // A child may outlive the group's leader.
    this.#signal("SIGKILL");
  }

  /** Kills the process group at once, for `exit` handlers, which cannot wait. */
  kill() {
    this.#signal("SIGKILL");
  }

  #signal(signal) {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The process group has already exited.
    }
  }
}
