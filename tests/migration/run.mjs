// `make test-migration`: runs programs that were written for the vendor, first against the vendor (the simulator), then
// through Valetkey. Only their base URL and their bearer change.
//
//   PYTHON_BIN     a Python with the packages of tests/requirements.txt; default: the Makefile's, else python3
//   SIMULATOR_BIN  the simulator; default target/debug/valetkey-simulator
//   ONLY           run only the tests whose name contains this
import { startStack } from "../support/stack.mjs";
import { findCurl, findPython } from "../support/program.mjs";
import { Suite } from "../support/suite.mjs";
import { CASES, PLANS } from "./cases.mjs";
import migrations, { absent, waiting } from "./migrations.mjs";
import page from "./page.mjs";
import { programNames } from "./programs.mjs";

const suite = new Suite();
const python = findPython();
const curl = findCurl();
const runners = { mjs: process.execPath, py: python, sh: curl && "/bin/sh" };
if (python === undefined) suite.skip("programs in Python", "no python3 with the packages of tests/requirements.txt");
if (curl === undefined) suite.skip("programs with curl", "no curl");

await suite.run(page, { programs: programNames(), cases: Object.keys(CASES) });
const stack = await startStack({ plans: PLANS });
try {
  const runnable = programNames().filter((name) => runners[name.split(".").at(-1)] !== undefined);
  await suite.run([...migrations(runnable), waiting, absent], { stack, runners }, () => console.log(stack.logs()));
} finally {
  await stack.stop();
}
suite.finish();
