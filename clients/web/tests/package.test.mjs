// The package as npm publishes it. `make client` has built it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const CLIENT = resolve(import.meta.dirname, "..");
const BIN = resolve(CLIENT, "../../node_modules/.bin");
const read = (file) => readFileSync(join(CLIENT, file), "utf8");
const manifest = JSON.parse(read("package.json"));
/** Packages that an entry may import. Apps bring them along. */
const PEERS = { "react.ts": ["react"], "owner.ts": ["react"], "server.ts": ["jose"] };

test("the package has no runtime dependencies and no side effects, and each peer is one entry's alone", () => {
  const { dependencies, peerDependencies, peerDependenciesMeta, sideEffects, type } = manifest;
  assert.deepEqual([dependencies, Object.keys(peerDependencies), sideEffects, type], [undefined, ["jose", "react"], false, "module"]);
  assert.deepEqual(peerDependenciesMeta, { jose: { optional: true }, react: { optional: true } });
  for (const name of readdirSync(join(CLIENT, "src"))) {
    for (const [, from] of read(`src/${name}`).matchAll(/ from "([^"]+)"/g)) assert.ok(from.startsWith("./") || PEERS[name]?.includes(from), `${name} imports ${from}`);
  }
});

test("publint and Are the Types Wrong find nothing, also for the module resolution of before `exports`", () => {
  const run = (...command) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: CLIENT, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
    return stdout;
  };
  run(join(BIN, "publint"), "--strict");
  // The package is an ES module, which CommonJS loads with `import()`.
  run(join(BIN, "attw"), "--pack", ".", "--ignore-rules", "cjs-resolves-to-esm");
});

test("`npm publish --dry-run` packs the license, the page, the build and nothing else", () => {
  const printed = execFileSync("npm", ["publish", "--dry-run", "--offline", "--json"], { cwd: CLIENT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const { files, name } = JSON.parse(printed).valetkey;
  assert.equal(name, "valetkey");
  const paths = files.map(({ path }) => path);
  assert.deepEqual(paths.filter((path) => !path.startsWith("dist/")).sort(), ["LICENSE", "README.md", "package.json"]);
  const needed = [manifest.main, manifest.types, manifest.unpkg, manifest.jsdelivr, ...Object.values(manifest.typesVersions["*"]).flat()];
  for (const file of needed) assert.ok(paths.includes(file.replace("./", "")), file);
  assert.equal(read("LICENSE"), readFileSync(resolve(CLIENT, "../../LICENSE"), "utf8"));
});

test("every subpath of `exports` has its types for older tools, too", () => {
  const subpaths = Object.entries(manifest.exports).filter(([path, target]) => path !== "." && target.types !== undefined);
  assert.deepEqual(Object.fromEntries(subpaths.map(([path, { types }]) => [path.replace("./", ""), [types]])), manifest.typesVersions["*"]);
});

test("its page has no relative links, which lead nowhere on npm", () => {
  assert.doesNotMatch(read("README.md"), /\]\((?!https:)/);
});

test("the React entry is a client module", () => {
  assert.match(read("dist/react.js"), /^"use client";\n/);
});

test("the single file is the main entry with all of its parts", async () => {
  const [whole, parts] = await Promise.all([import("../dist/valetkey.min.js"), import("../dist/index.js")]);
  assert.deepEqual(Object.keys(whole).sort(), Object.keys(parts).sort());
  assert.match((await whole.proofKey()).thumbprint, /^[\w-]{43}$/);
  assert.doesNotMatch(read("dist/valetkey.min.js"), /import\(/);
});
