// `make test-openapi`: schemathesis sends what docs/openapi.json allows, and what it does not, to the built Worker on real
// workerd. Each answer must be one that the document describes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startStack } from "../support/stack.mjs";
import { Deployment } from "./deployment.mjs";
import { REVOCABLE_UNTIL, narrow } from "./narrow.mjs";
import { Tally } from "./tally.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SCHEMATHESIS = resolve(ROOT, process.env.SCHEMATHESIS_BIN || ".tools/python/bin/schemathesis");
// Long enough to be canceled, short enough to be deleted.
const PREDICTION_MS = 100;
// Beside each other, each with one thread: schemathesis's threads get into each other's way now and then. `--max-examples` are of
// each operation, or scenarios of the stateful phase; the whole must come to tally.mjs's MIN_EXAMPLES.
const RUNS = {
  "examples, coverage": ["--phases", "examples,coverage"],
  // In one process with the coverage phase it ended after 16 scenarios.
  stateful: ["--phases", "stateful", "--max-examples", "100"],
  "fuzzing predictions": ["--phases", "fuzzing", "--max-examples", "310", "--include-tag", "Predictions"],
  "fuzzing the rest": ["--phases", "fuzzing", "--max-examples", "310", "--exclude-tag", "Predictions"],
};

async function tryDocument(directory) {
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
    const callers = join(directory, "callers.json");
    writeFileSync(callers, JSON.stringify(await deployment.callers()), { mode: 0o600 });
    const env = {
      ...process.env,
      CALLERS_FILE: callers,
      REVOCABLE_UNTIL: String(REVOCABLE_UNTIL),
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const tally = new Tally(document);
    const run = async ([name, flags], index) => {
      const answers = join(directory, `answers-${index}.jsonl`);
      const found = await schemathesis([file, "--url", stack.origin, ...flags], { ...env, ANSWERS_FILE: answers });
      tally.add(readFileSync(answers, "utf8"));
      return found ? [`schemathesis: ${name}`] : [];
    };
    const problems = (await Promise.all(Object.entries(RUNS).map(run))).flat();
    tally.print();
    return [...problems, ...tally.problems()];
  } finally {
    await stack.stop();
  }
}

/** Whether it found anything. What it prints comes in one piece. */
async function schemathesis(flags, env) {
  const config = join(import.meta.dirname, "schemathesis.toml");
  const child = spawn(SCHEMATHESIS, ["--config-file", config, "run", ...flags, "--checks", "all"], { cwd: ROOT, env });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
  const [code] = await once(child, "close");
  console.log(Buffer.concat(output).toString());
  return code !== 0;
}

if (existsSync(SCHEMATHESIS)) {
  const directory = mkdtempSync(join(tmpdir(), "valetkey-openapi-"));
  try {
    const problems = await tryDocument(directory);
    problems.forEach((problem) => console.log(`FAILED  ${problem}`));
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
} else {
  console.log("SKIPPED: docs/openapi.json is not tried on the Worker: no schemathesis, see tests/requirements.txt");
  process.exitCode = process.env.CI ? 1 : 0;
}
