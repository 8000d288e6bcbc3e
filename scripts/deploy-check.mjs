// `make deploy-check`: a dry run of the deployment; fails where the gzipped Worker is larger than the cap.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const capKilobytes = Number(process.argv[2]);
const out = mkdtempSync(join(tmpdir(), "valetkey-"));
try {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  // `make` has built already: what [build] in wrangler.toml would do again finds nothing to do.
  const output = execFileSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", out], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, CI: "true" },
  });
  const found = /gzip: ([\d.]+) KiB/.exec(output);
  if (found === null) throw new Error(`wrangler did not say the size:\n${output}`);
  const kilobytes = Number(found[1]) * 1.024;
  console.log(`gzipped Worker: ${kilobytes.toFixed(1)} KB of ${capKilobytes} KB`);
  if (kilobytes > capKilobytes) throw new Error("the Worker is too large");
} finally {
  rmSync(out, { recursive: true, force: true });
}
