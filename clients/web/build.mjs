// Builds the package into clients/web/dist, prints bundle sizes, and fails if a bundle is too large: `make client`.
//
//   ESBUILD_BIN  path of esbuild; default: the one in node_modules.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(import.meta.dirname, "dist");
/** Largest size of the whole main entry, minified and gzipped (docs/decisions/0020-clients.md). */
const CAP_BYTES = 6_900;
/**
 * `valetkey` alone may weigh at most this share of the main entry, which shows that bundlers drop the unused proofs
 * (dpop.ts).
 */
const TREE_SHAKEN = 0.9;
const esbuild = process.env.ESBUILD_BIN || join(ROOT, "node_modules/.bin/esbuild");

/**
 * Bundles `source`, a module that imports a part of the package, as an app's build would, and returns the minified
 * script.
 */
function bundle(source) {
  const flags = ["--bundle", "--format=esm", "--target=es2022", "--minify", "--external:react", "--legal-comments=none", "--log-level=warning"];
  return execFileSync(esbuild, [...flags, "--loader=js"], { input: source, cwd: DIST });
}

/** Prints the size of a script and returns its gzipped bytes. */
function weigh(what, script) {
  const bytes = gzipSync(script, { level: 9 }).length;
  console.log(`clients/web: ${what}: ${bytes} bytes gzipped, ${script.length} minified`);
  return bytes;
}

rmSync(DIST, { recursive: true, force: true });
execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "--project", import.meta.dirname], { stdio: "inherit" });
const all = bundle('export * from "./index.js"');
// A single file for a page without a build step.
writeFileSync(join(DIST, "valetkey.min.js"), all);
const bytes = weigh("the main entry", all);
const alone = weigh("the client alone", bundle('export { valetkey } from "./index.js"'));
weigh("the exchange alone", bundle('export { tokenExchange } from "./exchange.js"'));
weigh("the hook", bundle('import { usePrediction } from "./react.js"; export { usePrediction }'));
if (alone > bytes * TREE_SHAKEN) throw new Error("clients/web is not tree-shakable: a bundle of `valetkey` alone contains unused code");
if (bytes > CAP_BYTES) throw new Error(`clients/web: the main entry has ${bytes} bytes gzipped, above its limit of ${CAP_BYTES}`);
