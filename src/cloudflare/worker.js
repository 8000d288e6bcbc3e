// What the platform calls: the default handlers and both Durable Object classes, around one instance of the core.
//
// The core is compiled with `panic = "abort"`: a panic ends its instance, with every future in it. instance.js notices
// that; this file answers each request that was in flight and starts the next instance.
//
// Rules, each with the failure it prevents:
// - A new instance starts only at the top of a handler, when no frame of the old one is on the stack: a callback of the
//   old instance would follow its pointers in the new one's memory.
// - Every wait ends with the instance: a request that waits for a promise of a dead future would hang.
// - Nothing made by one generation is used in another: an object is rebuilt, a driven request is dropped.
import { decodeRequest, encodeReply, callObject } from "./runtime/object_channel.js";
import { createInstance } from "./runtime/instance.js";
import { lastResort } from "./runtime/last_resort.js";
import { respond } from "./runtime/platform.js";

/** How long the message of a lost request may take, milliseconds. Nobody waits for it. */
const FAREWELL_MS = 2_000;

/**
 * Instantiates the core and returns what entry.js exports.
 *
 * `core` is what wasm-bindgen made: `initSync`, `start`, `__wbg_reset_state`, `begin`, `scheduled` and the
 * classes `Ledger` and `Dispatcher`. `module` is the compiled WebAssembly module.
 */
export function createWorker(core, module) {
  const instance = createInstance(core, module);

  /**
   * Drives a request of the edge: the core returns a Response, or a step [promise, fallback, request] whose promise
   * JavaScript awaits before it resumes the request. Ends with the instance, at the latest.
   */
  async function drive(step, context) {
    const { generation } = instance;
    let fallback;
    try {
      while (Array.isArray(step)) {
        const [promise, newFallback, request] = step;
        fallback = newFallback ?? fallback;
        const [isOk, value] = await instance.guard(promise.then((value) => [true, value], (error) => [false, error]));
        instance.assertGeneration(generation);
        step = instance.call(() => request.resume(isOk, value));
      }
      return step instanceof Response ? step : await instance.guard(step);
    } catch {
      return answerLost(fallback, context);
    }
  }

  /**
   * Answers a request whose instance has ended: with the response that the core left for this case, and the message
   * that takes back what may have been admitted; else with the last resort.
   */
  function answerLost(fallback, context) {
    if (fallback === undefined) return lastResort();
    const [status, headerLines, body, namespace, name, message] = fallback;
    if (message !== undefined) {
      // The object hears it in a new instance. It may be lost: the object's alarm does the same.
      context.waitUntil(callObject(namespace, name, message, FAREWELL_MS).catch(() => {}));
    }
    return respond(status, headerLines, body);
  }

  /** A Durable Object. Its state is in storage: an object of a new generation loads it again. */
  class DurableShell {
    #state;
    #env;
    #object;
    #generation;

    constructor(state, env) {
      this.#state = state;
      this.#env = env;
    }

    #live(Core) {
      instance.renew();
      if (this.#object === undefined || this.#generation !== instance.generation) {
        this.#object = instance.call(() => new Core(this.#state, this.#env));
        this.#generation = instance.generation;
      }
      return this.#object;
    }

    /** A message in, a reply out. A reply that needs no wait is made in the turn that asks. */
    fetch(request) {
      const message = decodeRequest(request);
      return typeof message === "string" ? this.#handle(message) : message.then((text) => this.#handle(text));
    }

    #handle(message) {
      const object = this.#live(this.constructor.Core);
      const reply = instance.call(() => object.handle(message));
      return typeof reply === "string" ? encodeReply(reply) : instance.guard(reply).then(encodeReply);
    }

    /** The platform retries an alarm that fails, and keeps it armed. */
    async alarm() {
      const object = this.#live(this.constructor.Core);
      await instance.guard(instance.call(() => object.alarm()));
    }
  }

  return {
    Ledger: class Ledger extends DurableShell {
      static Core = core.Ledger;
    },
    Dispatcher: class Dispatcher extends DurableShell {
      static Core = core.Dispatcher;
    },
    handlers: {
      fetch(request, env, context) {
        try {
          instance.renew();
          const step = instance.call(() => core.begin(request, env, context));
          return step instanceof Response ? step : drive(step, context);
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
