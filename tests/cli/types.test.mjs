// `valetkey types`: with the written file, a misspelled model or input does not compile.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addVendorKey, createGateway, ROOT, runTool } from "./machine.mjs";

const { folder, tool, gateway } = await createGateway("types");
/** TSC compares another version of TypeScript: the path of its bin/tsc. */
const TSC = process.env.TSC || join(ROOT, "node_modules/typescript/bin/tsc");
const OPTIONS = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"];

addVendorKey(gateway);
const app = join(folder, "app");
mkdirSync(join(app, "node_modules"), { recursive: true });
symlinkSync(join(ROOT, "clients/web"), join(app, "node_modules/valetkey"));
const written = await runTool(tool, ["types", "--out", join(app, "models.d.ts")], { cwd: gateway });

/** Compiles an app's statement. Returns the compiler's errors. */
function errorsOf(statement, files = ["app.ts", "models.d.ts"]) {
  writeFileSync(join(app, "app.ts"), `import { valetkey } from "valetkey";
const client = valetkey({ baseUrl: "https://x.example", getToken: async () => "" });
${statement}\n`);
  try {
    execFileSync(process.execPath, [TSC, ...OPTIONS, ...files], { cwd: app, encoding: "utf8", stdio: "pipe" });
    return [];
  } catch (error) {
    return [...`${error.stdout}`.matchAll(/error (TS\d+): .*/g)].map(([message]) => message);
  }
}

test("the file declares each model of POLICY", () => {
  assert.equal(written.code, 0, written.all);
  assert.match(written.stdout, /the inputs of black-forest-labs\/flux-kontext-max/);
});

test("what the rules allow compiles, a Blob for a file too", () => {
  const statement = `void client.run("black-forest-labs/flux-kontext-max", { prompt: "x", aspect_ratio: "16:9", input_image: new Blob([]) });
    void client.batch([{ model: "black-forest-labs/flux-kontext-max", input: { prompt: "x", input_image: "file_1" } }]);`;
  assert.deepEqual(errorsOf(statement), []);
});

for (const [what, statement] of [
  ["a misspelled input", 'void client.run("black-forest-labs/flux-kontext-max", { promptt: "x" });'],
  ["a misspelled model", 'void client.run("black-forest-labs/flux-kontext-maxx", { prompt: "x" });'],
  ["a value that is not in the enum", 'void client.create("black-forest-labs/flux-kontext-max", { prompt: "x", aspect_ratio: "4:3" });'],
  ["a value of another type", 'void client.batch([{ model: "black-forest-labs/flux-kontext-max", input: { prompt: 7 } }]);'],
]) {
  test(`${what} does not compile, and without the file it does`, () => {
    assert.equal(errorsOf(statement).length, 1);
    assert.deepEqual(errorsOf(statement, ["app.ts"]), []);
  });
}
