// Callbacks for the end of the core's wasm instance. They are registered on both sides of the core: by instance.js,
// which calls the core, and by platform.js, which the core calls. So this module imports neither.

const waiting = new Set();

/** Calls `callback` once when the instance ends. Returns a function that unregisters it. */
export function afterDeath(callback) {
  waiting.add(callback);
  return () => waiting.delete(callback);
}

/** Calls and unregisters every callback. */
export function announceDeath() {
  const callbacks = [...waiting];
  waiting.clear();
  for (const callback of callbacks) callback();
}
