// The simulator's control API (simulator/README.md), as far as these tests use it.

export class Simulator {
  #control;

  constructor(origin, control) {
    /** The vendor's API, the pictures and the app's own backend. */
    this.origin = origin;
    this.#control = control;
  }

  /** A token as the app's backend would give it, for a plan or the default one. */
  async token(subject, plan) {
    const answer = await fetch(`${this.origin}/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sub: subject, plan }),
    });
    if (!answer.ok) throw new Error(`/session answered ${answer.status}`);
    return (await answer.json()).token;
  }

  /** Requests that arrived after `since`, and what to ask for next time. */
  requests(since = 0) {
    return this.#call("GET", `/requests?since=${since}`);
  }

  /** The vendor's work only: what the page fetches itself (pictures, tokens) left out. */
  async vendorRequests(since = 0) {
    const { requests } = await this.requests(since);
    return requests.filter(({ path }) => path.startsWith("/v1/"));
  }

  /** One answer of `route` goes wrong as `fault` says. */
  failOnce(route, fault) {
    return this.#call("POST", "/faults", { route, times: 1, fault });
  }

  /** The faults that met nothing yet. */
  async faultsLeft() {
    return (await this.#call("GET", "/faults")).faults;
  }

  clearFaults() {
    return this.#call("DELETE", "/faults");
  }

  settings(changes) {
    return this.#call("PUT", "/settings", changes);
  }

  /** Settings, balances and faults as they were at the start. */
  reset() {
    return this.#call("POST", "/reset", { settings: true });
  }

  async #call(method, path, body) {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const answer = await fetch(this.#control + path, init);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`control ${method} ${path} answered ${answer.status}: ${text}`);
    return JSON.parse(text);
  }
}
