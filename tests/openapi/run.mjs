// `make test-openapi`: schemathesis sends what docs/openapi.json allows, and what it does not, to the built Worker on real
// workerd. Each answer must be one that the document describes.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startStack } from "../browser/stack.mjs";
import { Deployment } from "./deployment.mjs";
import { REVOCABLE_UNTIL, narrow } from "./narrow.mjs";
import { Tally } from "./tally.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SCHEMATHESIS = resolve(ROOT, process.env.SCHEMATHESIS_BIN || ".tools/python/bin/schemathesis");
// Long enough to be canceled and streamed, short enough to be deleted.
const PREDICTION_MS = 250;
const WORKERS = "4";
// `maxExamples` are of each operation, and scenarios of the stateful phase; the whole must come to tally.mjs's MIN_EXAMPLES.
// Fuzzing comes last: it leaves a queue behind that the other phases would wait for.
const RUNS = [
  { phases: "examples,coverage,stateful", maxExamples: "200" },
  { phases: "fuzzing", maxExamples: "450" },
];

async function run(directory) {
  const deployment = new Deployment();
  const stack = await startStack({ predictionMs: PREDICTION_MS, settings: (origin) => deployment.settings(origin) });
  try {
    // Creates would wait for the vendor's account to be paid for.
    await stack.simulator.settings({ balance: "1000000000" });
    const document = await (await fetch(`${stack.origin}/openapi.json`)).json();
    const subjectToken = await deployment.token("exchanger");
    const narrowed = narrow(document, { origin: stack.origin, issuer: deployment.issuer, subjectToken });
    const file = join(directory, "openapi.json");
    writeFileSync(file, JSON.stringify(narrowed));
    const env = {
      ...process.env,
      USER_TOKEN: await deployment.token("alice"),
      OPERATOR_TOKEN: await deployment.operatorToken(),
      REVOCABLE_UNTIL: String(REVOCABLE_UNTIL),
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const tally = new Tally(document);
    const problems = [];
    for (const { phases, maxExamples } of RUNS) {
      const answers = join(directory, "answers.jsonl");
      const flags = [file, "--url", stack.origin, "--phases", phases, "--max-examples", maxExamples, "--workers", WORKERS];
      const failed = await schemathesis(flags, { ...env, ANSWERS_FILE: answers });
      if (failed) problems.push(`schemathesis, ${phases}`);
      tally.add(readFileSync(answers, "utf8"));
    }
    tally.print();
    return [...problems, ...tally.problems()];
  } finally {
    await stack.stop();
  }
}

/** Whether it found anything. */
function schemathesis(flags, env) {
  const config = join(import.meta.dirname, "schemathesis.toml");
  const child = spawn(SCHEMATHESIS, ["--config-file", config, "run", ...flags], { cwd: ROOT, env, stdio: "inherit" });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("exit", (code) => done(code !== 0));
  });
}

if (existsSync(SCHEMATHESIS)) {
  const directory = mkdtempSync(join(tmpdir(), "valetkey-openapi-"));
  try {
    const problems = await run(directory);
    problems.forEach((problem) => console.log(`FAILED  ${problem}`));
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
} else {
  console.log("SKIPPED: docs/openapi.json is not tried on the Worker: no schemathesis, see tests/requirements.txt");
  process.exitCode = process.env.CI ? 1 : 0;
}
