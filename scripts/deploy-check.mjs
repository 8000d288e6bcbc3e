// `make deploy-check`: runs `wrangler deploy --dry-run` and fails if the gzipped Worker exceeds the cap.
// Usage: node scripts/deploy-check.mjs CAP_KILOBYTES
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const capKilobytes = Number(process.argv[2]);
const out = mkdtempSync(join(tmpdir(), "valetkey-"));
try {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  // wrangler runs the [build] command of wrangler.toml. It does nothing here: `make deploy-check` has just built.
  const output = execFileSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", out], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, CI: "true" },
  });
  const found = /gzip: ([\d.]+) KiB/.exec(output);
  if (found === null) throw new Error(`wrangler printed no gzip size:\n${output}`);
  const kilobytes = Number(found[1]) * 1.024;
  console.log(`gzipped Worker: ${kilobytes.toFixed(1)} KB of ${capKilobytes} KB`);
  if (kilobytes > capKilobytes) throw new Error("the gzipped Worker is larger than the cap");
} finally {
  rmSync(out, { recursive: true, force: true });
}
