// Builds the package into clients/web/dist, prints bundle sizes, and fails if a bundle is too large: `make client`.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(import.meta.dirname, "dist");
/** Largest size of the main entry, minified and gzipped (docs/decisions/0020-clients.md). */
const CAP_BYTES = 6_000;
/** Packages that apps bring along. */
const PEERS = ["react", "react/jsx-runtime", "jose"];

/** Shows the bundler's warnings, except that a bundle loses the directive of the React entry: frameworks keep it. */
function onLog(level, log, show) {
  if (log.code !== "MODULE_LEVEL_DIRECTIVE") show(level, log);
}

/**
 * Bundles `source`, a module that imports a part of the package, as an app's build with Vite does, and returns the
 * minified script. Parts that are loaded when they are used are scripts of their own, and are in it only if it `isWhole`.
 */
async function bundle(source, isWhole = false) {
  const entry = join(DIST, "entry.js");
  const plugin = {
    name: "entry",
    resolveId: (id) => (id === entry ? id : null),
    load: (id) => (id === entry ? source : null),
    resolveDynamicImport: (id) => (isWhole ? null : { id, external: true }),
  };
  const build = await rolldown({ input: entry, plugins: [plugin], external: PEERS, onLog });
  const { output } = await build.generate({ format: "es", minify: true, codeSplitting: false });
  await build.close();
  return output[0].code;
}

/** Prints the size of a script and returns its gzipped bytes. */
function weigh(what, script) {
  const bytes = gzipSync(script, { level: 9 }).length;
  console.log(`clients/web: ${what}: ${bytes} bytes gzipped, ${script.length} minified`);
  return bytes;
}

rmSync(DIST, { recursive: true, force: true });
execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "--project", import.meta.dirname], { stdio: "inherit" });
copyFileSync(join(ROOT, "LICENSE"), join(import.meta.dirname, "LICENSE"));
const bytes = weigh("the main entry", await bundle('export * from "./index.js"'));
// A single file for a page without a build step.
const whole = await bundle('export * from "./index.js"', true);
weigh("the main entry with all parts", whole);
writeFileSync(join(DIST, "valetkey.min.js"), whole);
weigh("the exchange alone", await bundle('export { tokenExchange } from "./exchange.js"'));
weigh("the hook", await bundle('export { usePrediction } from "./react.js"'));
if (bytes > CAP_BYTES) throw new Error(`clients/web: the main entry has ${bytes} bytes gzipped, above its limit of ${CAP_BYTES}`);
