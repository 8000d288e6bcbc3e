// `make test-browser`: runs the demo page and the operator's page in a real browser, against the built Worker on real workerd.
//
//   CHROMIUM_BIN   the browser; default: the first that ../support/browser.mjs finds
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { findChromium, launch } from "../support/browser.mjs";
import accessibility from "./cases/accessibility.mjs";
import demo from "./cases/demo.mjs";
import errors from "./cases/errors.mjs";
import features from "./cases/features.mjs";
import gallery from "./cases/gallery.mjs";
import journey from "./cases/journey.mjs";
import network from "./cases/network.mjs";
import operators from "./cases/operators.mjs";
import operatorsForReal from "./cases/operators_for_real.mjs";
import operatorsScreens from "./cases/operators_screens.mjs";
import operatorsUnits from "./cases/operators_units.mjs";
import origins from "./cases/origins.mjs";
import screenshots from "./cases/screenshots.mjs";
import secrets from "./cases/secrets.mjs";
import units from "./cases/units.mjs";
import ways from "./cases/ways.mjs";
import { startOperated } from "./operators.mjs";
import { Suite } from "../support/suite.mjs";
import { startStack } from "../support/stack.mjs";

/** `single`: predictions wait in the queue. `slow`: the second create within a minute is refused. */
const PLAN = { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "500" };
const PLANS = { single: { ...PLAN, concurrent_predictions: 1 }, slow: { ...PLAN, predictions_per_minute: 1 } };

/** Limits of the vendor key that never slow a test down. */
const KEY = { requests_per_minute: 6000, concurrent_predictions: 50 };

/** Tests that run at a time, each on its own stack, in one browser. Tests wait more than they compute. */
const LANES = 4;

const TESTS = [...demo, ...network, ...journey, ...features, ...accessibility, ...screenshots, ...gallery, ...errors, ...secrets, ...origins];

const suite = new Suite();

async function runLane(tests, browser) {
  const stack = await startStack({ plans: PLANS, key: KEY });
  try {
    let printed = 0;
    const printLogs = () => {
      // Prints only what is new since the last failure.
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
  // All lanes take their next test from this one iterator.
  const queue = wanted.values();
  try {
    await Promise.all(Array.from({ length: Math.min(LANES, wanted.length) }, () => runLane(queue, browser)));
  } finally {
    await browser.close();
  }
}

/** The operator's page, on a Worker that has operators. */
async function runOperators(executablePath) {
  const tests = [...operators, ...operatorsForReal, ...operatorsScreens].filter(([name]) => name.includes(process.env.ONLY ?? ""));
  if (tests.length === 0) return;
  const [stack, browser] = await Promise.all([startOperated(), launch(executablePath)]);
  try {
    await suite.run(tests, { stack, browser }, () => console.log(stack.logs()));
  } finally {
    await browser.close();
    await stack.stop();
  }
}

await suite.run([...units, ...operatorsUnits], {});
const chromium = findChromium();
if (chromium === undefined) suite.skip("the pages", "no Chromium (set CHROMIUM_BIN or install Debian's chromium)");
else {
  await runInBrowser(chromium);
  // Each starts a deployment and a browser of its own.
  await suite.run(ways, {});
  await runOperators(chromium);
}
suite.finish();
