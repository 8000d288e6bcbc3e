// A client of the simulator's control API (simulator/README.md), with the calls that these tests need.

export class Simulator {
  #control;

  constructor(origin, control) {
    /** Origin of the vendor's API, the output pictures and the app's backend. */
    this.origin = origin;
    this.#control = control;
  }

  /** Gets a token for `subject` from the app's backend. Without `plan`, it has the default plan. */
  async token(subject, plan) {
    const answer = await fetch(`${this.origin}/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sub: subject, plan }),
    });
    if (!answer.ok) throw new Error(`/session responded with status ${answer.status}`);
    return (await answer.json()).token;
  }

  /** Returns the requests that arrived after `since`, and `next`, the `since` of the next call. */
  requests(since = 0) {
    return this.#call("GET", `/requests?since=${since}`);
  }

  /** Returns only the requests to the vendor's API, without what the page fetches itself (pictures, tokens). */
  async vendorRequests(since = 0) {
    const { requests } = await this.requests(since);
    return requests.filter(({ path }) => path.startsWith("/v1/"));
  }

  /** Makes the next response of `route` fail or differ, as `fault` describes. */
  failOnce(route, fault) {
    return this.#call("POST", "/faults", { route, times: 1, fault });
  }

  /** Makes every response of `route` wait for so many milliseconds. */
  delay(route, milliseconds) {
    return this.#call("POST", "/faults", { route, times: null, fault: { delay_ms: milliseconds } });
  }

  /** Returns the faults that have not fired yet. */
  async faultsLeft() {
    return (await this.#call("GET", "/faults")).faults;
  }

  clearFaults() {
    return this.#call("DELETE", "/faults");
  }

  settings(changes) {
    return this.#call("PUT", "/settings", changes);
  }

  /** Restores settings, balances and faults to their initial values. */
  reset() {
    return this.#call("POST", "/reset", { settings: true });
  }

  async #call(method, path, body) {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const answer = await fetch(this.#control + path, init);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`control ${method} ${path} responded with status ${answer.status}: ${text}`);
    return JSON.parse(text);
  }
}
