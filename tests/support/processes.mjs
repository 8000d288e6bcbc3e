// Child processes that end with the test, whatever happens: each leads a process group of its own.
import { spawn } from "node:child_process";

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

export class Service {
  #child;
  #name;
  #output = "";
  #exited;

  /** Starts `command`; `env` is added to this process's own environment. */
  constructor(name, command, args, env = {}) {
    this.#name = name;
    // Detached: wrangler starts workerd, which starts children. The group is what is ended.
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(`${name} ended with ${signal ?? code}`));
      this.#child.once("error", (error) => resolve(`${name} did not start: ${error.message}`));
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk) => {
        this.#output += chunk;
      });
    }
  }

  /** Everything it printed. */
  get log() {
    return `--- ${this.#name} ---\n${this.#output}`;
  }

  /** Waits for a line that matches; rejects when the process ends first. */
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

  /** Ends the whole group: politely, then by force. */
  async stop() {
    this.#signal("SIGTERM");
    const late = setTimeout(() => this.#signal("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(late);
    // A child may outlive the leader.
    this.#signal("SIGKILL");
  }

  /** Ends it at once, for an `exit` handler that cannot wait. */
  kill() {
    this.#signal("SIGKILL");
  }

  #signal(signal) {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group is gone already.
    }
  }
}
