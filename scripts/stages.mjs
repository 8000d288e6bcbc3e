// `make test` and `make quick`: runs make targets one after another and shows all of their output. Prints the list of
// stages first, one line with the time after each stage, and a table of times and skipped tests at the end. Stops at the
// first stage that fails, so that its output is the last on the screen.
//
// Usage: node scripts/stages.mjs NAME TARGET...
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

const [name, ...targets] = process.argv.slice(2);
// The lines by which tests/support/suite.mjs, the Rust tests and `node --test` (in both of its formats) report a skip.
const SKIPPED = [/^(?:skipped|SKIPPED): (.+)/, /^\s*﹣ (.+)/, /^\s*ok \d+ - (.+ # SKIP.*)/];

const stageName = (target) => target.replace(/^test-/, "");
const width = Math.max(...targets.map((target) => stageName(target).length));

/** Returns a duration as people read it: `48 s`, `1 min 12 s`. */
function duration(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function report(word, target, time) {
  return `${word.padEnd(4)} ${stageName(target).padEnd(width)}  ${duration(time)}`;
}

/** Runs `make TARGET` and relays its output. Returns its exit code and the lines that report skipped tests. */
function run(target) {
  const skipped = [];
  let rest = "";
  const scan = (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const plain = stripVTControlCharacters(line);
      const found = SKIPPED.map((pattern) => pattern.exec(plain)).find((match) => match !== null);
      if (found) skipped.push(found[1].trim());
    }
  };
  // Both streams share one pipe, which keeps their lines in order. cargo cannot see the terminal behind the pipe.
  const color = process.stdout.isTTY ? { CARGO_TERM_COLOR: "always" } : {};
  const command = [process.env.MAKE ?? "make", "--no-print-directory", target];
  const child = spawn("sh", ["-c", 'exec "$@" 2>&1', "sh", ...command], {
    env: { ...process.env, ...color },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8").on("data", (text) => {
    process.stdout.write(text);
    scan(text);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      scan("\n");
      resolve({ code: code ?? 1, skipped });
    });
  });
}

console.log(`make ${name}: ${targets.length} stages: ${targets.map(stageName).join(", ")}`);
const startedAt = performance.now();
const table = [];
const allSkipped = [];
for (const [index, target] of targets.entries()) {
  console.log(`\n---- ${stageName(target)} (${index + 1} of ${targets.length}): make ${target}`);
  const stageStartedAt = performance.now();
  const { code, skipped } = await run(target);
  const line = report(code === 0 ? "ok" : "FAIL", target, performance.now() - stageStartedAt);
  console.log(line);
  if (code !== 0) {
    const left = targets.slice(index + 1).map(stageName);
    console.log(`make ${name} failed at this stage; \`make ${target}\` repeats it. Not run: ${left.join(", ") || "none"}`);
    process.exit(1);
  }
  table.push(line);
  allSkipped.push(...skipped.map((text) => `${stageName(target)}: ${text}`));
}
console.log(`\n${table.join("\n")}\n     ${"total".padEnd(width)}  ${duration(performance.now() - startedAt)}`);
if (allSkipped.length > 0) console.log(`\nSkipped on this machine:\n${allSkipped.map((text) => `  ${text}`).join("\n")}`);
