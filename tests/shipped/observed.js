// The shipped Worker, with routes for tests: what each object class cost so far, messages that are lost, objects without
// sockets, and an alarm that fires now.
import * as shipped from "./index.js";
import { countedState, newCost } from "./costs.js";

const costs = { Ledger: newCost(), Dispatcher: newCost() };
/** Messages to an object with this word are lost. */
let lost;
/** False while the objects are of a build that is older than sockets: it ignores the header `Upgrade`. */
let hasSockets = true;
/** The commits of all objects so far, at each request to the vendor, each answer of the vendor, each response. */
const moments = [];

function note(moment) {
  moments.push([moment, costs.Ledger.commits + costs.Dispatcher.commits]);
}

const fetchNow = globalThis.fetch;
globalThis.fetch = async (...request) => {
  note("asked");
  const response = await fetchNow(...request);
  note("answered");
  return response;
};

function observe(name) {
  const cost = costs[name];
  return class extends shipped[name] {
    constructor(state, env) {
      super(countedState(state, cost), env);
      cost.instances += 1;
    }

    async fetch(request) {
      if (new URL(request.url).pathname === "/alarm") {
        await super.alarm();
        return new Response("{}");
      }
      cost.messages += 1;
      if (lost !== undefined && (request.url + (await request.clone().text())).includes(lost)) throw new Error("lost");
      return super.fetch(hasSockets ? request : new Request(request, { headers: {} }));
    }

    alarm() {
      cost.alarms += 1;
      return super.alarm();
    }
  };
}

export const Ledger = observe("Ledger");
export const Dispatcher = observe("Dispatcher");
export default {
  ...shipped.default,
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/test/costs") return Response.json({ ...costs, moments });
    if (pathname === "/test/lose") {
      lost = searchParams.get("word") ?? undefined;
      return Response.json({});
    }
    if (pathname === "/test/sockets") return Response.json((hasSockets = searchParams.get("are") === "known"));
    const response = await shipped.default.fetch(request, env, context);
    note("responded");
    return response;
  },
};
