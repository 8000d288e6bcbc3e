// The shipped Worker, with a route that says how many requests its objects got.
import * as shipped from "./index.js";

let requests = 0;

const counted = (name) =>
  class extends shipped[name] {
    fetch(request) {
      requests += 1;
      return super.fetch(request);
    }
  };

export const Ledger = counted("Ledger");
export const Dispatcher = counted("Dispatcher");
export default {
  ...shipped.default,
  fetch(request, env, context) {
    return request.url.endsWith("/object-requests") ? Response.json(requests) : shipped.default.fetch(request, env, context);
  },
};
