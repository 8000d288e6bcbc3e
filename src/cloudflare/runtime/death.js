// Who must hear that the core's instance has ended. A module of its own, since both sides of the core use it: worker.js
// and instance.js, which call it, and platform.js, which it calls.

const waiting = new Set();

/** Calls `callback` once when the instance ends; returns a function that takes this back. */
export function afterDeath(callback) {
  waiting.add(callback);
  return () => waiting.delete(callback);
}

/** Calls and drops every callback. */
export function announceDeath() {
  const callbacks = [...waiting];
  waiting.clear();
  for (const callback of callbacks) callback();
}
