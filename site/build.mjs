// Builds the pages into dist/site/: `node site/build.mjs`. It does not check types; `tsc -p site` does.
//
//   SITE_OUT     output directory; default: dist/site. The browser tests build into their own directory.
//   ESBUILD_BIN  path of esbuild; default: the one in node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "site", "demo");
const out = join(resolve(root, process.env.SITE_OUT || join("dist", "site")), "demo");
const esbuild = process.env.ESBUILD_BIN || join(root, "node_modules", ".bin", "esbuild");

/** Files copied unchanged. The Worker serves only the demo files that src/wire/route/table.rs lists. */
const COPIED = ["index.html", "demo.css", "icon.svg"];

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const name of COPIED) cpSync(join(source, name), join(out, name));

// The OpenAPI document, served as /openapi.json.
cpSync(join(root, "docs", "openapi.json"), join(dirname(out), "openapi.json"));

execFileSync(
  esbuild,
  [
    join(source, "src", "demo.ts"),
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--minify",
    "--legal-comments=none",
    "--log-level=warning",
    `--outfile=${join(out, "demo.js")}`,
  ],
  { stdio: ["ignore", "inherit", "inherit"] },
);
console.log(`site: ${out}`);
