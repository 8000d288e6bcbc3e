// `make test-examples`: what is in examples/, run as a user runs it, against the built Worker on real workerd.
//
// Each file in cases/ is one example's: its default export are `[name, test]` pairs, and `missing()`, if there is one, says
// what this machine lacks to run them. Each test gets `{stack}`.
//
//   PYTHON_BIN     a Python with the packages of tests/requirements.txt; default: the Makefile's, else python3
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startStack } from "../browser/stack.mjs";
import { Suite } from "../support/suite.mjs";
import { PLANS } from "./plans.mjs";

const suite = new Suite();
const stack = await startStack({ plans: PLANS });
try {
  for (const file of readdirSync(join(import.meta.dirname, "cases")).sort()) {
    const { default: tests, missing } = await import(`./cases/${file}`);
    const lacking = missing?.();
    if (lacking === undefined) await suite.run(tests, { stack }, () => console.log(stack.logs()));
    else suite.skip(file, lacking);
  }
} finally {
  await stack.stop();
}
suite.finish();
