// docs/clients.md: its table is the client's, and its code compiles.
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

test("the table has every code, with the status and the advice that it has", () => {
  const rows = new Map([...GUIDE.matchAll(/^\| (\S+) \| `(\w+)` \| .* \| (.*) \|$/gm)].map(([, status, code, what]) => [code, { status, what }]));
  assert.deepEqual([...rows.keys()].sort(), CODES);
  for (const [code, { what }] of rows) assert.match(what, WORDS[new ValetkeyError(code, "").advice], code);
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  for (const code of components.schemas.ErrorCode.enum) {
    assert.match(readme, new RegExp(`^\\| ${rows.get(code).status} \\| \`${code}\``, "m"), `README has another status for ${code}`);
  }
});

/** What the guide's pieces of code take for granted. */
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

test("its code compiles", () => {
  const directory = join(ROOT, "dist/clients-guide");
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, "node_modules"), { recursive: true });
  symlinkSync(join(ROOT, "clients/web"), join(directory, "node_modules/valetkey"));
  const blocks = [...GUIDE.matchAll(/^```(tsx?)\n([^]*?)^```$/gm)];
  assert.ok(blocks.length >= 10);
  writeFileSync(join(directory, "given.d.ts"), GIVEN);
  // `export {}` makes each a module, so that names do not meet.
  blocks.forEach(([, kind, code], index) => writeFileSync(join(directory, `block-${index}.${kind}`), `${code}\nexport {};\n`));
  const flags = ["--noEmit", "--strict", "--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler", "--jsx", "react-jsx", "--exactOptionalPropertyTypes"];
  const files = ["given.d.ts", ...blocks.map(([, kind], index) => `block-${index}.${kind}`)];
  try {
    execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), ...flags, ...files], { cwd: directory, encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout);
  }
});
