// The life of the core's WebAssembly instance: it notices its end, ends every wait with it, and starts the next one.
import { afterDeath, announceDeath } from "./death.js";
import { alert } from "./last_resort.js";

/** The end of an instance, for whoever waited for something in it. */
class InstanceEnded extends Error {
  constructor() {
    super("the instance of the core has ended");
  }
}

/** Instantiates `module` with the bindings `core`, and returns the instance that all handlers share. */
export function createInstance(core, module) {
  let isAlive = true;
  let generation = 0;

  /**
   * The core has trapped. wasm-bindgen's abort hook calls this (`core.start`), and `call` does for every exception that
   * leaves the core synchronously, a stack overflow among them. The `worker` crate's own hook, which resets the instance
   * in the middle of whatever calls it next, is replaced.
   */
  function end() {
    if (!isAlive) return;
    isAlive = false;
    alert("instance_ended");
    announceDeath();
  }

  core.initSync({ module });
  core.start(end);

  return {
    /** Which instance this is, counted from 0. */
    get generation() {
      return generation;
    },

    /** Starts a new instance where the last one has ended. Only at the top of a handler. */
    renew() {
      if (isAlive) return;
      core.__wbg_reset_state();
      core.start(end);
      isAlive = true;
      generation += 1;
    },

    /** Calls into the core. An exception is its end. */
    call(enter) {
      try {
        return enter();
      } catch (error) {
        end();
        throw error;
      }
    },

    /** Throws unless the instance is alive and of this generation. */
    assertGeneration(expected) {
      if (!isAlive || expected !== generation) throw new InstanceEnded();
    },

    /**
     * Settles as `promise` does, and rejects when the instance ends. Each waiter has a promise of its own, made in its
     * own request: workerd refuses one that several requests share, once the request that made it has ended.
     */
    guard(promise) {
      if (!isAlive) return Promise.reject(new InstanceEnded());
      return new Promise((resolve, reject) => {
        const forget = afterDeath(() => reject(new InstanceEnded()));
        Promise.resolve(promise).then(resolve, reject).finally(forget);
      });
    },
  };
}
