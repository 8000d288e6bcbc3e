// Builds the package into clients/web/dist, prints what it weighs, and fails above the cap: `make client`.
//
//   ESBUILD_BIN  the esbuild program; default the one in node_modules.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(import.meta.dirname, "dist");
/** All of the main entry, minified and gzipped. */
const CAP_BYTES = 6_000;
/** What `valetkey` alone may weigh of all: proofs are left out. */
const TREE_SHAKEN = 0.9;
const esbuild = process.env.ESBUILD_BIN || join(ROOT, "node_modules/.bin/esbuild");

/** What a page that uses this much of the package gets. */
function bundle(source) {
  const flags = ["--bundle", "--format=esm", "--target=es2022", "--minify", "--external:react", "--legal-comments=none", "--log-level=warning"];
  return execFileSync(esbuild, [...flags, "--loader=js"], { input: source, cwd: DIST });
}

function weigh(what, script) {
  const bytes = gzipSync(script, { level: 9 }).length;
  console.log(`clients/web: ${what}: ${bytes} bytes gzipped, ${script.length} minified`);
  return bytes;
}

rmSync(DIST, { recursive: true, force: true });
execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "--project", import.meta.dirname], { stdio: "inherit" });
const all = bundle('export * from "./index.js"');
// One file for a page without a build step.
writeFileSync(join(DIST, "valetkey.min.js"), all);
const bytes = weigh("all of it", all);
const alone = weigh("the client alone", bundle('export { valetkey } from "./index.js"'));
weigh("the exchange alone", bundle('export { tokenExchange } from "./exchange.js"'));
weigh("the hook", bundle('import { usePrediction } from "./react.js"; export { usePrediction }'));
if (alone > bytes * TREE_SHAKEN) throw new Error("clients/web cannot be tree-shaken: a page gets what it does not use");
if (bytes > CAP_BYTES) throw new Error(`clients/web is above its cap of ${CAP_BYTES} bytes`);
