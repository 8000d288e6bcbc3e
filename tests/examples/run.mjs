// `make test-examples` and `make test-next`: run examples/ as a user does, against the built Worker on real workerd.
//
//   node tests/examples/run.mjs [FOLDER]
//
// Each file in FOLDER, cases/ by default, tests one example. Its default export is a list of `[name, test]` pairs. Its optional export
// `missing()` returns what this machine lacks to run them, or `undefined`. Each test gets `{stack, pages, browser, services}`:
//
// - `stack`: the Worker and the simulator
// - `pages`: a server of pages, on an origin that the Worker allows
// - `browser()`: launches Chromium once
// - `services`: the processes that an example started, which end with the tests
//
//   PYTHON_BIN     a Python with the packages of tests/requirements.txt; default: the Makefile's, else python3
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { findChromium, launch } from "../support/browser.mjs";
import { startStack } from "../support/stack.mjs";
import { Suite } from "../support/suite.mjs";
import { Pages } from "./pages.mjs";
import { PLANS } from "./plans.mjs";

const folder = process.argv[2] ?? "cases";
const suite = new Suite();
const pages = await Pages.start();
const stack = await startStack({ plans: PLANS, settings: () => ({ ALLOWED_ORIGINS: pages.origin }) });
const services = [];
process.once("exit", () => services.forEach((service) => service.kill()));
let launched;
const browser = () => (launched ??= launch(findChromium()));
try {
  for (const file of readdirSync(join(import.meta.dirname, folder)).sort()) {
    const { default: tests, missing } = await import(`./${folder}/${file}`);
    const lacking = missing?.();
    if (lacking === undefined) await suite.run(tests, { stack, pages, browser, services }, () => console.log([stack.logs(), ...services.map(({ log }) => log)].join("\n")));
    else suite.skip(file, lacking);
  }
} finally {
  await (await launched)?.close();
  await Promise.all(services.map((service) => service.stop()));
  pages.stop();
  await stack.stop();
}
suite.finish();
