// `make test-browser`: the demo page in a real browser, against the built Worker on real workerd.
//
//   CHROMIUM_BIN   the browser; default: where Debian's chromium is
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { findChromium, launch } from "./browser.mjs";
import accessibility from "./cases/accessibility.mjs";
import demo from "./cases/demo.mjs";
import errors from "./cases/errors.mjs";
import origins from "./cases/origins.mjs";
import screenshots from "./cases/screenshots.mjs";
import secrets from "./cases/secrets.mjs";
import units from "./cases/units.mjs";
import { startStack } from "./stack.mjs";

const TEST_TIMEOUT_MS = 90_000;
const tally = { passed: 0, failed: 0 };

/** Runs `[name, test]` pairs in order; `world` is what each test gets. */
async function runAll(tests, world, onFailure = () => {}) {
  for (const [name, test] of tests) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    const startedAt = performance.now();
    let timer;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${TEST_TIMEOUT_MS} ms`)), TEST_TIMEOUT_MS);
      });
      await Promise.race([test(world), late]);
      tally.passed += 1;
      console.log(`ok      ${name} (${Math.round(performance.now() - startedAt)} ms)`);
    } catch (error) {
      tally.failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
      onFailure();
    } finally {
      clearTimeout(timer);
    }
  }
}

async function runInBrowser(executablePath) {
  const stack = await startStack();
  let browser;
  try {
    browser = await launch(executablePath);
    let printed = 0;
    const printLogs = () => {
      // Only what is new since the last failure.
      const logs = stack.logs();
      console.log(logs.slice(printed));
      printed = logs.length;
    };
    const tests = [...demo, ...errors, ...secrets, ...origins, ...accessibility, ...screenshots];
    await runAll(tests, { stack, browser }, printLogs);
  } finally {
    await browser?.close();
    await stack.stop();
  }
}

await runAll(units, {});
const chromium = findChromium();
if (chromium === undefined) {
  console.log("skipped: no Chromium (set CHROMIUM_BIN or install Debian's chromium)");
  if (process.env.CI === "true") {
    console.log("CI must not skip: this counts as a failure");
    tally.failed += 1;
  }
} else {
  await runInBrowser(chromium);
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exitCode = tally.failed === 0 ? 0 : 1;
