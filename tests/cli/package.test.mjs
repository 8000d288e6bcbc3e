// The package `create-valetkey` as npm publishes it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOT, tarball, unpack } from "./machine.mjs";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "valetkey-package-")));
after(() => rmSync(folder, { recursive: true, force: true }));
const tool = unpack(join(folder, "tool"));
const manifest = JSON.parse(readFileSync(join(tool, "package.json"), "utf8"));
/** Bytes that `npm create` fetches, at most. Most of them are the Worker, which has a limit of its own. */
const TARBALL_MAX_BYTES = 1_100_000;

test("it has no dependencies, and wrangler is an optional peer", () => {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, scripts, engines } = manifest;
  assert.deepEqual([dependencies, optionalDependencies, scripts], [undefined, undefined, undefined]);
  assert.deepEqual([Object.keys(peerDependencies), peerDependenciesMeta], [["wrangler"], { wrangler: { optional: true } }]);
  assert.equal(engines.node, ">=22.12");
});

test("the tool is one file, which imports what Node has", () => {
  assert.deepEqual(readdirSync(join(tool, "lib")).sort(), ["check.cjs", "check_bg.wasm", "valetkey.mjs"]);
  const text = readFileSync(join(tool, "lib/valetkey.mjs"), "utf8");
  const imported = [...text.matchAll(/(?:\bfrom|\bimport\(?|\brequire\()\s*"([^"]+)"/g)].map(([, name]) => name);
  assert.ok(imported.length > 5);
  // `valetkey` is in the text that `types` writes.
  for (const name of imported) assert.ok(isBuiltin(name) || name === "valetkey", name);
});

test("it has these files and no others, and is small enough for `npm create`", (t) => {
  const files = execFileSync("tar", ["-tzf", tarball()], { encoding: "utf8" }).trim().split("\n");
  const tops = new Set(files.map((file) => file.split("/")[1]));
  assert.deepEqual([...tops].sort(), ["LICENSE", "README.md", "THIRD_PARTY.txt", "bin", "lib", "package.json", "site", "valetkey.schema.json", "worker"]);
  assert.deepEqual(files.filter((file) => /\/\.|\.map$|vars|\.env/.test(file)), []);
  assert.equal(readFileSync(join(tool, "LICENSE"), "utf8"), readFileSync(join(ROOT, "LICENSE"), "utf8"));
  const { size } = statSync(tarball());
  t.diagnostic(`${size} bytes`);
  assert.ok(size <= TARBALL_MAX_BYTES, `${size} bytes`);
});

test("no file has a path of the machine that built it", () => {
  const paths = [ROOT, homedir(), process.env.CARGO_HOME].filter((path) => path !== undefined && path.length > 1);
  const files = readdirSync(tool, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(files.length > 10);
  for (const { parentPath, name } of files) {
    const bytes = readFileSync(join(parentPath, name));
    for (const path of paths) assert.ok(!bytes.includes(`${path}/`), `${name} has ${path}`);
  }
});

test("publint finds nothing, and its page has no relative links, which lead nowhere on npm", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, "node_modules/.bin/publint"), "--strict", tarball()], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  assert.doesNotMatch(readFileSync(join(tool, "README.md"), "utf8"), /\]\((?!https:)/);
});
