// The life cycle of the core's wasm instance: detects that an instance has ended, rejects every promise that waits for
// it, and starts the next instance.
import { DeathWatch } from "./death.js";
import { alert } from "./last_resort.js";

/** The error of a wait whose wasm instance has ended. */
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
   * Marks the instance as ended, and calls the callbacks of death.js. Called by wasm-bindgen's abort hook
   * (`core.start`), and by `call` for every exception that leaves the core synchronously, a stack overflow among them.
   * `core.start` replaces the hook of the `worker` crate, which would reset the instance in the middle of the next
   * call.
   */
  function end() {
    if (!isAlive) return;
    isAlive = false;
    alert("instance_ended");
    DeathWatch.announce();
  }

  core.initSync({ module });
  core.start(end);

  return {
    /** The number of the current instance, counted from 0. */
    get generation() {
      return generation;
    },

    /** Starts a new instance if the last one has ended. Call it only at the top of a handler. */
    renew() {
      if (isAlive) return;
      core.__wbg_reset_state();
      core.start(end);
      isAlive = true;
      generation += 1;
    },

    /** Calls into the core. An exception ends the instance. */
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
     * Settles like `promise`, or rejects when the instance ends. Each waiter gets a promise of its own, made in its own
     * request: workerd refuses a promise that several requests share once the request that made it has ended.
     */
    guard(promise) {
      if (!isAlive) return Promise.reject(new InstanceEnded());
      return new Promise((resolve, reject) => {
        const watch = new DeathWatch(() => reject(new InstanceEnded()));
        const settle = (end) => (value) => {
          watch.forget();
          end(value);
        };
        promise.then(settle(resolve), settle(reject));
      });
    },
  };
}
