// Builds the package `create-valetkey` into cli/dist: the tool in one file, the module that checks settings, the Worker, the
// pages. `node cli/build.mjs`; `make bundle` packs the result into dist/.
//
//   ESBUILD_BIN  path of esbuild; default: the one in node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");
const SOURCE = import.meta.dirname;
const OUT = join(SOURCE, "dist");
const esbuild = process.env.ESBUILD_BIN || join(ROOT, "node_modules/.bin/esbuild");

/** What the package is made of: [source, place in the package]. */
const COPIED = [
  [join(SOURCE, "package.json"), "package.json"],
  [join(SOURCE, "README.md"), "README.md"],
  [join(SOURCE, "valetkey.schema.json"), "valetkey.schema.json"],
  [join(SOURCE, "bin"), "bin"],
  [join(ROOT, "LICENSE"), "LICENSE"],
  [join(ROOT, "THIRD_PARTY.txt"), "THIRD_PARTY.txt"],
  [join(ROOT, "build/check/check.cjs"), "lib/check.cjs"],
  [join(ROOT, "build/check/check_bg.wasm"), "lib/check_bg.wasm"],
  [join(ROOT, "build/index.js"), "worker/index.js"],
  [join(ROOT, "build/core.wasm"), "worker/core.wasm"],
  [join(ROOT, "dist/site"), "site"],
];

rmSync(OUT, { recursive: true, force: true });
for (const [source, place] of COPIED) {
  if (!existsSync(source)) throw new Error(`${source} is missing: run \`make bundle\`, which builds it first`);
  mkdirSync(join(OUT, place, ".."), { recursive: true });
  cpSync(source, join(OUT, place), { recursive: true, filter: (path) => !path.endsWith(".built") });
}
// `--main-fields=module,main`: jsonc-parser's `main` is a UMD module, whose imports esbuild does not see. `createRequire`:
// what is CommonJS among the dependencies may call `require`.
execFileSync(
  esbuild,
  [
    join(SOURCE, "src/main.ts"), "--bundle", "--platform=node", "--target=node22", "--format=esm", "--main-fields=module,main", "--minify-whitespace",
    "--minify-syntax", "--legal-comments=none", "--log-level=warning", `--outfile=${join(OUT, "lib/valetkey.mjs")}`,
  ],
  { stdio: "inherit" },
);
const { version } = JSON.parse(readFileSync(join(SOURCE, "package.json"), "utf8"));
console.log(`cli: create-valetkey ${version} in cli/dist`);
