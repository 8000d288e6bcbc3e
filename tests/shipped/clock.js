// The shipped Worker, with a clock that is shifted by TEST_CLOCK_OFFSET_MS: stored objects keep the times at which they
// were made, and a test opens them as if it were that day.
import { env } from "cloudflare:workers";
import * as shipped from "./index.js";

const offsetMs = Number(env.TEST_CLOCK_OFFSET_MS);
const now = Date.now;
Date.now = () => now() + offsetMs;

function shift(name) {
  return class extends shipped[name] {
    constructor(state, ...given) {
      // workerd fires alarms by its own clock.
      const { storage } = state;
      const setAlarm = storage.setAlarm.bind(storage);
      const getAlarm = storage.getAlarm.bind(storage);
      storage.setAlarm = (at) => setAlarm(at - offsetMs);
      storage.getAlarm = async () => {
        const at = await getAlarm();
        return at === null ? null : at + offsetMs;
      };
      super(state, ...given);
    }
  };
}

export const Ledger = shift("Ledger");
export const Dispatcher = shift("Dispatcher");
export default shipped.default;
