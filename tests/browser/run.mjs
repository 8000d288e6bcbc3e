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
import { Suite } from "../support/suite.mjs";
import { startStack } from "./stack.mjs";

const suite = new Suite();

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
    await suite.run(tests, { stack, browser }, printLogs);
  } finally {
    await browser?.close();
    await stack.stop();
  }
}

await suite.run(units, {});
const chromium = findChromium();
if (chromium === undefined) suite.skip("the demo page", "no Chromium (set CHROMIUM_BIN or install Debian's chromium)");
else await runInBrowser(chromium);
suite.finish();
