// `make test-browser`: the demo page in a real browser, against the built Worker on real workerd.
//
//   CHROMIUM_BIN   the browser; default: where Debian's chromium is
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { findChromium, launch } from "../support/browser.mjs";
import accessibility from "./cases/accessibility.mjs";
import demo from "./cases/demo.mjs";
import errors from "./cases/errors.mjs";
import gallery from "./cases/gallery.mjs";
import journey from "./cases/journey.mjs";
import network from "./cases/network.mjs";
import origins from "./cases/origins.mjs";
import screenshots from "./cases/screenshots.mjs";
import secrets from "./cases/secrets.mjs";
import units from "./cases/units.mjs";
import { Suite } from "../support/suite.mjs";
import { startStack } from "../support/stack.mjs";

/** For people who wait in line, and for those who are told to wait. */
const PLAN = { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "500" };
const PLANS = { single: { ...PLAN, concurrent_predictions: 1 }, slow: { ...PLAN, predictions_per_minute: 1 } };

/** Pages of several tests at once: none of them is slowed down by the pace that a key allows. */
const KEY = { requests_per_minute: 6000, concurrent_predictions: 50 };

/** Tests wait more than they compute: so many run at a time, each on a stack of its own, in one browser. */
const LANES = 4;

const TESTS = [...demo, ...network, ...journey, ...accessibility, ...screenshots, ...gallery, ...errors, ...secrets, ...origins];

const suite = new Suite();

async function runLane(tests, browser) {
  const stack = await startStack({ plans: PLANS, key: KEY });
  try {
    let printed = 0;
    const printLogs = () => {
      // Only what is new since the last failure.
      const logs = stack.logs();
      console.log(logs.slice(printed));
      printed = logs.length;
    };
    await suite.run(tests, { stack, browser }, printLogs);
  } finally {
    await stack.stop();
  }
}

async function runInBrowser(executablePath) {
  const browser = await launch(executablePath);
  const wanted = TESTS.filter(([name]) => name.includes(process.env.ONLY ?? ""));
  // Each lane takes the next one.
  const queue = wanted.values();
  try {
    await Promise.all(Array.from({ length: Math.min(LANES, wanted.length) }, () => runLane(queue, browser)));
  } finally {
    await browser.close();
  }
}

await suite.run(units, {});
const chromium = findChromium();
if (chromium === undefined) suite.skip("the demo page", "no Chromium (set CHROMIUM_BIN or install Debian's chromium)");
else await runInBrowser(chromium);
suite.finish();
