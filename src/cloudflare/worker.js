// The exports of the Worker: the handlers `fetch` and `scheduled` and both Durable Object classes, around one wasm
// instance of the core.
//
// The core is compiled with `panic = "abort"`: a panic ends its wasm instance, with every future in it. instance.js
// detects that. This file responds to each request that was in flight, and starts the next instance.
//
// Rules, each with the failure it prevents:
// - A new instance starts only at the top of a handler, when no frame of the old one is on the stack. Otherwise a
//   callback of the old instance would use its pointers in the memory of the new one.
// - Every wait ends with the instance. Otherwise a request that awaits a promise of a dead future would hang.
// - Objects of one instance (one generation) are not used in another, since they point into its memory: a Durable
//   Object is rebuilt, a driven request is dropped.
import { createInstance } from "./runtime/instance.js";
import { lastResort, logError } from "./runtime/last_resort.js";
import { decodeRequest, encodeReply, callObject, opensSocket } from "./runtime/object_channel.js";
import { respond } from "./runtime/platform.js";
import { completeClose } from "./runtime/sockets.js";

/** Time-out of the message that withdraws a lost create, milliseconds. The response waits for it. */
const WITHDRAWAL_MS = 800;

/**
 * Instantiates the core and returns the handlers and classes that entry.js exports.
 *
 * `core` is the module that wasm-bindgen generated: `initSync`, `start`, `__wbg_reset_state`, `begin`, `scheduled` and
 * the classes `Ledger` and `Dispatcher`. `module` is the compiled WebAssembly module.
 */
export function createWorker(core, module) {
  const instance = createInstance(core, module);

  /**
   * Drives a request of the edge. `step` is what the core returned: a Response, a promise of one, or [promise,
   * fallback, request]. In the last case this awaits the promise and resumes the request with its result. If the
   * instance ends first, the client gets the last fallback.
   */
  function drive(step) {
    const { generation } = instance;
    let fallback;
    const run = async () => {
      while (Array.isArray(step)) {
        const [promise, newFallback, request] = step;
        fallback = newFallback ?? fallback;
        let [isFulfilled, value] = [true, undefined];
        try {
          value = await promise;
        } catch (error) {
          [isFulfilled, value] = [false, error];
        }
        instance.assertGeneration(generation);
        step = instance.call(() => request.resume(isFulfilled, value));
      }
      return step;
    };
    return instance.guard(run()).catch(() => answerLost(fallback));
  }

  /**
   * Responds to a request whose wasm instance has ended: with the fallback that the core left, else with the last
   * resort. If the Ledger may have admitted a create, the fallback also has a message that withdraws the create, and a
   * response for the case that the create continues because it was already sent.
   */
  async function answerLost(fallback) {
    if (fallback === undefined) return lastResort();
    const [status, headerLines, body, withdrawal] = fallback;
    if (withdrawal !== undefined) {
      const [namespace, name, message, continued] = withdrawal;
      // A new instance handles the message. If it is lost, the object's alarm withdraws the create.
      const reply = await callObject(namespace, name, message, WITHDRAWAL_MS).catch(() => undefined);
      if (reply !== undefined && JSON.parse(reply).reply?.created !== undefined) return lost(...continued);
    }
    return lost(status, headerLines, body);
  }

  /** Writes the log line of a lost request and returns its response. */
  function lost(status, headerLines, body) {
    const requestId = /^X-Request-Id: (.*)$/m.exec(headerLines)?.[1];
    logError({ event: "request", request_id: requestId, status, reason: "instance_ended" });
    return respond(status, headerLines, body);
  }

  /**
   * Returns `ctx` as the core gets it. What a request leaves running ends with the instance: workerd logs a promise that
   * nothing settles any more as a hang.
   */
  function contextOf(context) {
    return { waitUntil: (promise) => context.waitUntil(instance.guard(promise).catch(() => {})) };
  }

  /**
   * A Durable Object. Its state is in storage, so each new instance of the core builds its part of the object again.
   */
  class DurableShell {
    #state;
    #env;
    #object;
    #generation;

    constructor(state, env) {
      this.#state = state;
      this.#env = env;
    }

    /** Returns the core's part of the object. Call it only at the top of a handler. */
    live() {
      instance.renew();
      if (this.#object === undefined || this.#generation !== instance.generation) {
        this.#object = instance.call(() => new this.constructor.Core(this.#state, this.#env));
        this.#generation = instance.generation;
      }
      return this.#object;
    }

    /**
     * Handles a message and returns its reply. A reply that needs no wait is returned in the same turn, without a
     * promise.
     */
    fetch(request) {
      const message = decodeRequest(request);
      return typeof message === "string" ? this.#handle(message) : message.then((text) => this.#handle(text));
    }

    #handle(message) {
      const object = this.live();
      const reply = instance.call(() => object.handle(message));
      return typeof reply === "string" ? encodeReply(reply) : instance.guard(reply).then(encodeReply);
    }

    /** Runs the alarm. If this fails, the platform keeps the alarm armed and retries it. */
    async alarm() {
      const object = this.live();
      await instance.guard(instance.call(() => object.alarm()));
    }
  }

  return {
    Ledger: class Ledger extends DurableShell {
      static Core = core.Ledger;

      fetch(request) {
        return opensSocket(request) ? this.#open(decodeRequest(request)) : super.fetch(request);
      }

      /** Handles a message that opens a socket. The core accepts it, with its reply as the first message, or refuses. */
      async #open(message) {
        const { 0: client, 1: server } = new WebSocketPair();
        const object = this.live();
        const refusal = await instance.guard(Promise.resolve(instance.call(() => object.open(message, server))));
        return refusal === "null" ? new Response(null, { status: 101, webSocket: client }) : encodeReply(refusal);
      }

      // Sockets outlive the wasm instance, and the edge sends nothing. So these handlers need no core: none can trap.

      webSocketMessage() {}

      webSocketClose(socket, code) {
        completeClose(socket, code);
      }

      webSocketError() {}
    },
    Dispatcher: class Dispatcher extends DurableShell {
      static Core = core.Dispatcher;
    },
    handlers: {
      fetch(request, env, context) {
        try {
          instance.renew();
          const step = instance.call(() => core.begin(request, env, contextOf(context)));
          return step instanceof Response ? step : drive(step);
        } catch {
          return lastResort();
        }
      },
      async scheduled(event, env, context) {
        instance.renew();
        await instance.guard(instance.call(() => core.scheduled(event, env, context)));
      },
    },
  };
}
