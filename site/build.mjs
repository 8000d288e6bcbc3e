// Builds the pages into dist/site/: `node site/build.mjs`. Types are checked apart, by `tsc -p site`.
//
//   SESSION_URL  what demo/settings.json names as the app's own backend, which answers `POST {"sub":"…"}` with
//                `{"token":"<JWT>"}`. Default: the checked-in `/session`, a path on the page's own origin that the
//                Worker does not have. Development sets http://127.0.0.1:8788/session, the simulator's.
//   SITE_OUT     where to build to; default dist/site. The browser test builds into a directory of its own.
//   ESBUILD_BIN  the esbuild program; default the one in node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "site", "demo");
const out = join(resolve(root, process.env.SITE_OUT || join("dist", "site")), "demo");
const esbuild = process.env.ESBUILD_BIN || join(root, "node_modules", ".bin", "esbuild");

/** Copied as they are. The list is the public one of src/route.rs: nothing else is ever served. */
const COPIED = ["index.html", "demo.css", "icon.svg"];

function sessionUrl(settings) {
  const url = process.env.SESSION_URL || settings.session_url;
  const { protocol } = new URL(url, "https://page.invalid");
  if (protocol !== "https:" && protocol !== "http:") throw new Error("SESSION_URL must be an http(s) URL or a path");
  return url;
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const name of COPIED) cpSync(join(source, name), join(out, name));

// The description of the API, under its public name.
cpSync(join(root, "docs", "openapi.json"), join(dirname(out), "openapi.json"));

const settings = JSON.parse(readFileSync(join(source, "settings.json"), "utf8"));
writeFileSync(join(out, "settings.json"), `${JSON.stringify({ ...settings, session_url: sessionUrl(settings) })}\n`);

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
