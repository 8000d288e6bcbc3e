// Builds the pages into dist/site/: `node site/build.mjs`. It does not check types; `tsc -p site` does.
//
//   SESSION_URL  URL of the app's own backend, written into demo/settings.json. The backend returns
//                `{"token":"<JWT>"}` for `POST {"sub":"…"}`. Default: `/session` from the checked-in settings, a path
//                on the page's own origin that the Worker does not serve. `make dev` sets the simulator's
//                http://127.0.0.1:8788/session.
//   SITE_OUT     output directory; default: dist/site. The browser tests build into their own directory.
//   ESBUILD_BIN  path of esbuild; default: the one in node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "site", "demo");
const out = join(resolve(root, process.env.SITE_OUT || join("dist", "site")), "demo");
const esbuild = process.env.ESBUILD_BIN || join(root, "node_modules", ".bin", "esbuild");

/** Files copied unchanged. The Worker serves only the demo files that src/wire/route.rs lists. */
const COPIED = ["index.html", "demo.css", "icon.svg"];

/** Returns the URL of the app's own backend. Throws unless it is http(s) or a path. */
function sessionUrl(settings) {
  const url = process.env.SESSION_URL || settings.session_url;
  const { protocol } = new URL(url, "https://page.invalid");
  if (protocol !== "https:" && protocol !== "http:") throw new Error(`SESSION_URL must be an http(s) URL or a path, and is ${url}`);
  return url;
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const name of COPIED) cpSync(join(source, name), join(out, name));

// The OpenAPI document, served as /openapi.json.
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
