// Builds the pages into dist/site/: `node site/build.mjs`. It does not check types; `tsc -p site` does.
//
//   SITE_OUT     output directory; default: dist/site. The browser tests build into their own directory.
//   ESBUILD_BIN  path of esbuild; default: the one in node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = resolve(root, process.env.SITE_OUT || join("dist", "site"));
const esbuild = process.env.ESBUILD_BIN || join(root, "node_modules", ".bin", "esbuild");

/** Each page's files: copied unchanged, and bundled. The Worker serves only the files that src/wire/route/table.rs lists. */
const PAGES = [
  { name: "demo", copied: ["index.html", "icon.svg"], bundled: ["demo.css", "src/demo.ts"] },
  { name: "admin", copied: ["index.html"], bundled: ["admin.css", "src/admin.ts"] },
];

for (const { name, copied, bundled } of PAGES) {
  const [source, built] = [join(root, "site", name), join(out, name)];
  rmSync(built, { recursive: true, force: true });
  mkdirSync(built, { recursive: true });
  for (const file of copied) cpSync(join(source, file), join(built, file));
  execFileSync(
    esbuild,
    [
      ...bundled.map((file) => join(source, file)),
      "--bundle",
      "--format=esm",
      "--target=es2022",
      "--minify",
      "--legal-comments=none",
      "--log-level=warning",
      "--entry-names=[name]",
      `--outdir=${built}`,
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
}

// The OpenAPI document, served as /openapi.json.
cpSync(join(root, "docs", "openapi.json"), join(out, "openapi.json"));
console.log(`site: ${out}`);
