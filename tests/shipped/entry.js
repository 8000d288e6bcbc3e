// The entry of the second build, which has the feature `test-exports`: the shipped Worker, and routes for tests.
import module from "./core.wasm";
import * as core from "valetkey-core";
import { createWorker } from "../../src/cloudflare/worker.js";

const worker = createWorker(core, module);

export const Ledger = worker.Ledger;
export const Dispatcher = worker.Dispatcher;
export default {
  ...worker.handlers,
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/test/panic") return Response.json(core.panicAt(searchParams.get("at")));
    if (pathname === "/test/signatures") return new Response(core.verifySignatures(await request.text()));
    if (pathname === "/test/memory") return Response.json(core.memoryBytes());
    return worker.handlers.fetch(request, env, context);
  },
};
