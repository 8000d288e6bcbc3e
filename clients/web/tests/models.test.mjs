// The types of `run`, `create`, `estimate` and `batch`, with and without an app's declaration of its models.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

const CLIENT = resolve(import.meta.dirname, "..");
/** TSC compares another version of TypeScript: the path of its bin/tsc. */
const TSC = process.env.TSC || resolve(CLIENT, "../../node_modules/typescript/bin/tsc");
const OPTIONS = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"];

const MODELS = `import "valetkey";
declare module "valetkey" {
  interface Models {
    "acme/draw": { prompt: string; aspect_ratio?: "1:1" | "16:9" };
    "acme/upscale": { image: string; factor?: number };
  }
}
`;
const HEAD = `import { valetkey, type BatchItem } from "valetkey";
const client = valetkey({ baseUrl: "https://x.example", getToken: async () => "" });
`;

/** Compiles an app's statements, and returns the codes of the compiler's errors. */
function errorsOf(statements, models) {
  const folder = mkdtempSync(join(tmpdir(), "valetkey-types-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(CLIENT, join(folder, "node_modules/valetkey"));
    writeFileSync(join(folder, "app.ts"), HEAD + statements);
    writeFileSync(join(folder, "models.d.ts"), models ?? "");
    execFileSync(process.execPath, [TSC, ...OPTIONS, "app.ts", "models.d.ts"], { cwd: folder, encoding: "utf8", stdio: "pipe" });
    return [];
  } catch (error) {
    return [...`${error.stdout}${error.stderr ?? ""}`.matchAll(/error (TS\d+): .*/g)].map(([message]) => message);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("without a declaration every model and input compiles", () => {
  const statements = `
    const name: string = "any/model";
    void client.run(name, { anything: 1 });
    void client.create("acme/draw", { promptt: "x" });
    void client.batch([{ model: name, input: {} }]);
    const item: BatchItem = { model: "a/b", input: { x: 1 } };
    void client.estimate(item.model, item.input);`;
  assert.deepEqual(errorsOf(statements), []);
});

test("declared models and their inputs compile", () => {
  const statements = `
    void client.run("acme/draw", { prompt: "x", aspect_ratio: "16:9" });
    void client.create("acme/upscale", { image: "file_x", factor: 2 });
    void client.estimate("acme/draw", { prompt: "x" });
    void client.batch([{ model: "acme/draw", input: { prompt: "x" } }, { model: "acme/upscale", input: { image: "y" }, imageCount: 2 }]);`;
  assert.deepEqual(errorsOf(statements, MODELS), []);
});

for (const [what, statement, expected] of [
  ["a misspelled model", 'void client.run("acme/drraw", { prompt: "x" });', /TS2345/],
  ["a misspelled input", 'void client.run("acme/draw", { prompt: "x", aspect_ration: "1:1" });', /TS2353|TS2561/],
  ["a missing input", 'void client.create("acme/draw", {});', /TS2345|TS2741/],
  ["a value that the rule does not allow", 'void client.estimate("acme/draw", { prompt: "x", aspect_ratio: "4:3" });', /TS2322/],
  ["an input of another model in a batch", 'void client.batch([{ model: "acme/draw", input: { image: "x" } }]);', /TS2322|TS2353|TS2741/],
]) {
  test(`${what} does not compile`, () => {
    const errors = errorsOf(statement, MODELS);
    assert.equal(errors.length, 1, errors.join("\n"));
    assert.match(errors[0], expected);
  });
}
