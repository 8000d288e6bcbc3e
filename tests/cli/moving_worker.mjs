// The built Worker on workerd, which a deployment moves to another version on the same storage, behind an address that stays.
//
// As at Cloudflare, the objects are reset in the middle of what they do, and what they were sending is lost. Requests that the edge
// has taken are answered by the version before, or cut off after half a second; later ones are answered by the new version.
import { cpSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { startWorker } from "../load/workerd.mjs";
import { ROOT } from "./machine.mjs";

/** How long a request may take before it is cut off: waits and streams last longer, and clients repeat them. */
const LONGEST_REQUEST_MS = 500;

export class MovingWorker {
  #directory = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-moving-")));
  #server;
  #worker;
  /** Resolves when a request may be sent to the Worker. */
  #open = Promise.resolve();
  #inFlight = new Set();
  /** Everything that workerd printed. */
  errors = "";

  /** Listens. Requests wait for the first version. */
  async start() {
    this.#server = createServer((request, response) => {
      const answered = this.#open.then(() => this.#forward(request, response));
      this.#inFlight.add(answered);
      answered.finally(() => this.#inFlight.delete(answered));
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  /** Moves to a version. */
  async move({ id, build, bindings }) {
    let opened;
    const before = [...this.#inFlight];
    this.#open = new Promise((resolve) => (opened = resolve));
    await this.#worker?.resetObjects();
    await Promise.race([Promise.all(before), sleep(LONGEST_REQUEST_MS)]);
    this.#kill();
    // A copy: a build during a test must not change what runs.
    cpSync(resolve(ROOT, build), join(this.#directory, "build"), { recursive: true });
    const files = Object.fromEntries(["index.js", "core.wasm"].map((file) => [file, join(this.#directory, "build", file)]));
    const metadata = { id, tag: "", timestamp: new Date().toISOString() };
    this.#worker = await startWorker(ROOT, this.#directory, { files, bindings: { ...bindings, CF_VERSION_METADATA: metadata }, objects: ["Ledger", "Dispatcher"], backdoor: join(ROOT, "tests/shipped/backdoor.js") });
    opened();
  }

  stop() {
    this.#kill();
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #kill() {
    this.errors += this.#worker?.errors() ?? "";
    this.#worker?.stop();
    this.#worker = undefined;
  }

  /** Sends a request on. Resolves when it is answered. */
  #forward(request, response) {
    return new Promise((resolve) => {
      const { method, url: path, headers } = request;
      const [host, port] = this.#worker.address.split(":");
      const upstream = send({ host, port, method, path, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        // Cuts the client's connection off where the Worker's was.
        pipeline(answer, response, () => resolve());
      });
      upstream.once("error", () => {
        response.destroy();
        resolve();
      });
      request.pipe(upstream);
    });
  }
}
