// The shipped Worker, with routes for tests: how many messages each object class got, and an alarm that fires now.
import * as shipped from "./index.js";

const messages = { Ledger: 0, Dispatcher: 0 };

function observe(name) {
  return class extends shipped[name] {
    async fetch(request) {
      if (new URL(request.url).pathname === "/alarm") {
        await this.alarm();
        return new Response("{}");
      }
      messages[name] += 1;
      return super.fetch(request);
    }
  };
}

export const Ledger = observe("Ledger");
export const Dispatcher = observe("Dispatcher");
export default {
  ...shipped.default,
  fetch(request, env, context) {
    const isAsked = new URL(request.url).pathname === "/test/messages";
    return isAsked ? Response.json(messages) : shipped.default.fetch(request, env, context);
  },
};
