// Runs the page code of README.md and docs/clients.md as it is printed there; only its addresses are replaced.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { MODEL, startClientStack } from "./stack.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const PATIENT = { timeout: 60_000 };
let stack;
let backend;

before(async () => {
  stack = await startClientStack();
  backend = createServer(async (_, response) => response.end(JSON.stringify({ token: await stack.simulator.token("reader") })));
  backend.listen(0, "127.0.0.1");
  await once(backend, "listening");
}, PATIENT);

after(async () => {
  backend?.close();
  await stack?.stop();
});

/** Returns the only block of JavaScript under a heading. */
function block(file, heading) {
  const part = readFileSync(join(ROOT, file), "utf8").split(`\n${heading}\n`)[1].split(/\n## /)[0];
  const blocks = [...part.matchAll(/^```js\n([^]*?)^```$/gm)];
  assert.equal(blocks.length, 1, `${file}, ${heading}`);
  return blocks[0][1];
}

/** Replaces an address, and fails if the code does not have it. */
function moved(code, from, to) {
  assert.ok(code.includes(from), `${from} is not in the code`);
  return code.replace(from, to);
}

/** Runs `code` as a module in a folder where `valetkey` is installed. */
async function run(name, code) {
  const directory = join(ROOT, "dist/readme");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  symlinkSync(join(ROOT, "clients/web"), join(directory, "node_modules/valetkey"));
  const file = join(directory, `${name}.mjs`);
  writeFileSync(file, code);
  await import(pathToFileURL(file));
}

test("README: a page makes a picture with the client", PATIENT, async () => {
  let code = block("README.md", "## Call it from a page");
  code = moved(code, "https://app.example.com/valetkey-token", `http://127.0.0.1:${backend.address().port}/valetkey-token`);
  code = moved(code, "https://valetkey.example.workers.dev", stack.origin);
  globalThis.image = {};
  await run("page", code);
  const picture = await fetch(globalThis.image.src);
  assert.equal(picture.headers.get("content-type"), "image/png");
});

test("docs/clients.md: events are read with fetch", PATIENT, async () => {
  const token = await stack.simulator.token("reader-of-events");
  const created = await fetch(`${stack.origin}/v1/${MODEL}/predictions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ input: { prompt: "A garden" } }),
  });
  const shown = [];
  Object.assign(globalThis, { token, prediction: await created.json(), show: ({ status }) => shown.push(status) });
  await run("events", block("docs/clients.md", "## Waiting, aborting, canceling"));
  assert.deepEqual(shown, ["processing", "succeeded"]);
});
