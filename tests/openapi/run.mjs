// `make test-openapi`: schemathesis sends valid and invalid requests by docs/openapi.json to the built Worker on real
// workerd. The document must describe each response.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startStack } from "../support/stack.mjs";
import { Deployment, MODEL, USER_CALLERS } from "./deployment.mjs";
import { REVOCABLE_UNTIL, narrow } from "./narrow.mjs";
import { Tally } from "./tally.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SCHEMATHESIS = resolve(ROOT, process.env.SCHEMATHESIS_BIN || ".tools/python/bin/schemathesis");
// Long enough to cancel a prediction, short enough to delete it once it is terminal.
const PREDICTION_MS = 100;
/** Users of whom something is stored: for operators who read and change them, and as many for those who delete them. */
const USERS = 6;
/** Fewer than would pause all creates: five failures of the vendor in a row. */
const UNKNOWN_OUTCOMES = 3;
// These run in parallel, each with one thread, because schemathesis's own threads sometimes interfere with each other.
// `--max-examples` counts examples of each operation, or scenarios of the stateful phase. All runs together must reach
// MIN_EXAMPLES of tally.mjs.
const RUNS = {
  "examples, coverage": ["--phases", "examples,coverage"],
  // A separate process: together with the coverage phase, it stopped after 16 scenarios.
  stateful: ["--phases", "stateful", "--max-examples", "100"],
  "fuzzing predictions": ["--phases", "fuzzing", "--max-examples", "310", "--include-tag", "Predictions"],
  "fuzzing the rest": ["--phases", "fuzzing", "--max-examples", "310", "--exclude-tag", "Predictions", "--exclude-tag", "Operator"],
  "fuzzing operators": ["--phases", "fuzzing", "--max-examples", "100", "--include-tag", "Operator"],
};

/** Creates what operators ask for: users, and predictions of which nobody knows whether the vendor has them. */
async function prepare({ origin, simulator }, deployment) {
  const operators = await deployment.operatorTokens();
  const post = async (path, token, body) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(origin + path, { method: "POST", headers, body: JSON.stringify(body) });
    return answer.json();
  };
  const create = async (subject) => post(`/v1/${MODEL.owner}/${MODEL.name}/predictions`, await deployment.token(subject), { input: { prompt: "a fox" } });
  const unknown = [];
  for (let count = 0; count < UNKNOWN_OUTCOMES; count += 1) {
    await simulator.failOnce("create", { close_after: true });
    unknown.push((await create("unlucky")).error.details.job_id);
  }
  const keyOf = async (subject) => {
    await create(subject);
    return (await post("/admin/api/users/lookup", operators[0], { issuer: deployment.issuer, subject })).user;
  };
  const callers = [];
  for (const subject of USER_CALLERS) callers.push(await keyOf(subject));
  const users = [];
  for (let count = 0; count < 2 * USERS; count += 1) users.push(await keyOf(`user${count}`));
  return { operators, callers, users: users.slice(USERS), deleted_users: users.slice(0, USERS), unknown_outcomes: unknown };
}

async function tryDocument(directory) {
  const deployment = new Deployment();
  const stack = await startStack({ predictionMs: PREDICTION_MS, settings: (origin) => deployment.settings(origin) });
  try {
    // With a low balance, creates would wait until the vendor account has credits.
    await stack.simulator.settings({ balance: "1000000000" });
    const document = await (await fetch(`${stack.origin}/openapi.json`)).json();
    const subjectToken = await deployment.token("exchanger");
    const narrowed = narrow(document, { origin: stack.origin, issuer: deployment.issuer, subjectToken });
    const file = join(directory, "openapi.json");
    writeFileSync(file, JSON.stringify(narrowed));
    const callers = join(directory, "callers.json");
    const prepared = await prepare(stack, deployment);
    writeFileSync(callers, JSON.stringify(await deployment.callers(prepared.operators[0])), { mode: 0o600 });
    const preparedFile = join(directory, "prepared.json");
    writeFileSync(preparedFile, JSON.stringify(prepared), { mode: 0o600 });
    const env = {
      ...process.env,
      CALLERS_FILE: callers,
      PREPARED_FILE: preparedFile,
      REVOCABLE_UNTIL: String(REVOCABLE_UNTIL),
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const tally = new Tally(narrowed);
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

/** Runs schemathesis. Prints its output in one piece, and resolves to whether it found a problem. */
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
  console.log("SKIPPED: docs/openapi.json is not tested on the Worker: no schemathesis, see tests/requirements.txt");
  process.exitCode = process.env.CI ? 1 : 0;
}
