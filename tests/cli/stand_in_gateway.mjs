// A gateway of a few lines, for what the real one does not do on request: being sent to for a minute, losing a pause, having no
// operator's API.
import { createServer } from "node:http";

export class StandInGateway {
  /** What was asked, in order: `pause`, `renew`, `state`, `resume`. The tests add what the cloud did. */
  events = [];
  leases = new Map();
  submitting = 0;
  /** Answers the operator's API with this status and code. */
  status = 200;
  code = "not_found";
  isReady = true;
  /** The version that edge and Dispatcher report, and vendor keys by their fingerprint. */
  versions = { edge: null, dispatcher: null };
  fingerprint = "0000000000000000";
  rotation = { state: "none", fingerprint: null, since: null, jobs_of_old_key: 0 };
  keysByVersion = [];
  breaking = 0;
  breakingLedger = 0;
  #server;

  async start() {
    this.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
      const [status, answer] = this.#answer(request, body);
      response.writeHead(status, { "content-type": "application/json" }).end(answer === undefined ? "" : JSON.stringify(answer));
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Lets a version take over, as a deployment does. */
  run(id) {
    this.versions = { edge: id, dispatcher: id };
  }

  #answer({ url, headers }, body) {
    if (url === "/readyz") return this.isReady ? [200, {}] : [503, { errors: [{ name: "POLICY" }] }];
    if (this.status !== 200) return [this.status, { error: { code: this.code } }];
    if (!/^Bearer ey/.test(headers.authorization ?? "")) return [401, { error: { code: "missing_token" } }];
    if (url === "/admin/api/state") return [200, this.#state()];
    if (url === "/admin/api/resume") return this.#resume(body);
    return url === "/admin/api/pause" ? this.#pause(body) : [404, { error: { code: "not_found" } }];
  }

  #pause({ id, for_secs: seconds }) {
    this.events.push(id === undefined ? "pause" : "renew");
    if (id !== undefined && !this.leases.has(id)) return [404, { error: { code: "not_found" } }];
    const name = id ?? `pause_${this.leases.size + 1}`;
    this.leases.set(name, seconds);
    return [200, { id: name, ends_at: new Date(Date.now() + seconds * 1_000).toISOString() }];
  }

  #resume({ id }) {
    this.events.push("resume");
    this.leases.delete(id);
    return [204, undefined];
  }

  #state() {
    if (this.events.at(-1) !== "state") this.events.push("state");
    const name = (id) => ({ id, tag: null });
    return {
      time: new Date().toISOString(),
      version: { edge: name(this.versions.edge), dispatcher: name(this.versions.dispatcher) },
      vendor_key: { fingerprint: this.fingerprint, health: "ok", since: null },
      rotation: this.rotation,
      keys_by_version: this.keysByVersion,
      migrations: { dispatcher: 5, ledger: 4, breaking: this.breaking, breaking_ledger: this.breakingLedger },
      slots: { total: 5, in_use: 2, unknown: 1 },
      submitting: this.submitting,
      queue: { waiting: 3, max_waiting: 500 },
      requests: { per_minute: 60, remaining: 41 },
      unknown_outcomes: [{ job_id: "pred_1", model: "acme/x", user: "ab", since: "2026-11-30T10:00:00Z", slot_ends_at: "2026-11-30T10:10:00Z" }],
      pauses: [...this.leases.keys()].map((id) => ({ id, model: null, ends_at: "2026-11-30T10:02:00Z", started_at: "2026-11-30T10:00:00Z" })),
      today: { day: "2026-11-30", credits: "12.5", predictions: 30, daily_credits: null },
      alerts: [{ time: "2026-11-30T09:00:00Z", alert: "key_leak", detail: null }],
    };
  }
}
