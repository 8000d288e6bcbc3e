// Callbacks for the end of the core's wasm instance. They are registered on both sides of the core: by instance.js, which
// calls the core, and by platform.js, which the core calls. So this module imports neither.

/** Weak references to every watch that has not been forgotten. */
const watches = new Set();

/** Drops the reference to a watch that was collected. */
const collected = new FinalizationRegistry((reference) => watches.delete(reference));

/**
 * Calls `callback` when the instance ends, unless it is forgotten before.
 *
 * The registry holds a watch weakly: whoever waits must hold it. If a client leaves, the platform drops its request and
 * settles none of its promises. A strong reference here would keep that request, and its future in the core, in memory as
 * long as the isolate lives; an attacker who hangs up again and again would fill it.
 */
export class DeathWatch {
  #callback;
  #reference;

  constructor(callback) {
    this.#callback = callback;
    this.#reference = new WeakRef(this);
    watches.add(this.#reference);
    collected.register(this, this.#reference, this.#reference);
  }

  /** Takes the callback back. */
  forget() {
    watches.delete(this.#reference);
    collected.unregister(this.#reference);
  }

  /** Calls the callbacks of all watches once. */
  static announce() {
    const references = [...watches];
    watches.clear();
    for (const reference of references) reference.deref()?.#callback();
  }

  /** The number of watches, for tests. */
  static get size() {
    return watches.size;
  }
}
