// docs/clients.md: its table of codes matches the TypeScript client, and its code samples compile.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ValetkeyError } from "../../clients/web/src/index.ts";
import { CODES } from "../support/codes.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const GUIDE = readFileSync(join(ROOT, "docs/clients.md"), "utf8");
const { components } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8"));
const WORDS = { repeat: /^repeat with the same key$/, wait: /^wait$/, ask_user: /^ask the user/, give_up: /^give up$/ };

test("the table lists every code with its status and advice", () => {
  const rows = new Map([...GUIDE.matchAll(/^\| (\S+) \| `(\w+)` \| .* \| (.*) \|$/gm)].map(([, status, code, what]) => [code, { status, what }]));
  assert.deepEqual([...rows.keys()].sort(), CODES);
  for (const [code, { what }] of rows) assert.match(what, WORDS[new ValetkeyError(code, "").advice], code);
  const page = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
  for (const code of components.schemas.ErrorCode.enum) {
    assert.match(page, new RegExp(`^\\| ${rows.get(code).status} \\| <a id="${code}"></a>\`${code}\``, "m"), `docs/errors.md gives ${code} another status`);
  }
});

/** Declarations of the names that the guide's code samples use but do not define. */
const GIVEN = `
import type { Client } from "valetkey";
declare global {
  const client: Client;
  const jobId: string;
  const file: Blob;
  const user: { getIdToken(forceRefresh?: boolean): Promise<string> };
  function getToken(): Promise<string>;
}
`;

test("the code samples compile", () => {
  const directory = join(ROOT, "dist/clients-guide");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  symlinkSync(join(ROOT, "clients/web"), join(directory, "node_modules/valetkey"));
  const blocks = [...GUIDE.matchAll(/^```(tsx?)\n([^]*?)^```$/gm)];
  assert.ok(blocks.length >= 10);
  writeFileSync(join(directory, "given.d.ts"), GIVEN);
  // `export {}` makes each sample a module, so that the samples' names do not collide.
  blocks.forEach(([, kind, code], index) => writeFileSync(join(directory, `block-${index}.${kind}`), `${code}\nexport {};\n`));
  const flags = ["--noEmit", "--strict", "--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler", "--jsx", "react-jsx", "--exactOptionalPropertyTypes"];
  const files = ["given.d.ts", ...blocks.map(([, kind], index) => `block-${index}.${kind}`)];
  try {
    execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), ...flags, ...files], { cwd: directory, encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout);
  }
});
