// The shipped Worker on namespaces that have jurisdictions, as Cloudflare's network has and workerd alone has not. Notes
// how each object was addressed.
import * as shipped from "./index.js";

/** Each way in which an object was addressed, as "binding jurisdiction location". */
const places = new Set();

function placed(namespace, binding, jurisdiction) {
  return {
    jurisdiction: (word) => placed(namespace, binding, word),
    getByName: (name, options) => {
      places.add([binding, jurisdiction ?? "none", options?.locationHint ?? "none"].join(" "));
      return namespace.getByName(name, options);
    },
  };
}

function withPlaces(env) {
  return { ...env, LEDGER: placed(env.LEDGER, "LEDGER"), DISPATCHER: placed(env.DISPATCHER, "DISPATCHER") };
}

function observe(name) {
  return class extends shipped[name] {
    constructor(state, env) {
      super(state, withPlaces(env));
    }
  };
}

export const Ledger = observe("Ledger");
export const Dispatcher = observe("Dispatcher");
export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/test/places") {
      const seen = [...places].sort();
      places.clear();
      return Response.json(seen);
    }
    if (pathname === "/test/cron") {
      await shipped.default.scheduled({ cron: "* * * * *", scheduledTime: Date.now() }, withPlaces(env), context);
      return Response.json({});
    }
    return shipped.default.fetch(request, withPlaces(env), context);
  },
};
