// The shipped Worker, with routes for tests: how many messages and instances each object class got, messages that are
// lost, objects without sockets, and an alarm that fires now.
import * as shipped from "./index.js";

const messages = { Ledger: 0, Dispatcher: 0 };
const instances = { Ledger: 0, Dispatcher: 0 };
/** Messages to an object with this word are lost. */
let lost;
/** False while the objects are of a build that is older than sockets: it ignores the header `Upgrade`. */
let hasSockets = true;

function observe(name) {
  return class extends shipped[name] {
    constructor(...given) {
      super(...given);
      instances[name] += 1;
    }

    async fetch(request) {
      if (new URL(request.url).pathname === "/alarm") {
        await this.alarm();
        return new Response("{}");
      }
      messages[name] += 1;
      if (lost !== undefined && (request.url + (await request.clone().text())).includes(lost)) throw new Error("lost");
      return super.fetch(hasSockets ? request : new Request(request, { headers: {} }));
    }
  };
}

export const Ledger = observe("Ledger");
export const Dispatcher = observe("Dispatcher");
export default {
  ...shipped.default,
  fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/test/messages") return Response.json(messages);
    if (pathname === "/test/instances") return Response.json(instances);
    if (pathname === "/test/lose") {
      lost = searchParams.get("word") ?? undefined;
      return Response.json({});
    }
    if (pathname === "/test/sockets") return Response.json((hasSockets = searchParams.get("are") === "known"));
    return shipped.default.fetch(request, env, context);
  },
};
