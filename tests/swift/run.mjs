// `make test-swift`: compiles the package of Package.swift, which is clients/swift, and runs its unit tests. Compiles the
// Swift of the pages, and then tests the client against the built Worker.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { copySources, findToolchain } from "./toolchain.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
/** Pages, each with the minimum number of its Swift blocks. */
const PAGES = { "clients/swift/README.md": 2, "docs/mobile.md": 2 };
const STRICT = ["-Xswiftc", "-warnings-as-errors", "-Xswiftc", "-strict-concurrency=complete"];

const toolchain = findToolchain();
if (toolchain === undefined) {
  console.log("skipped: clients/swift: no Swift on this machine; tests/swift/root.sh installs one for root on Linux");
  if (process.env.CI) console.log("CI must not skip: this counts as a failure");
  process.exit(process.env.CI ? 1 : 0);
}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", env: { ...process.env, ...env } });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function swift(folder, command, ...args) {
  const [program, ...rest] = toolchain.command("swift", command, "--package-path", toolchain.inside(join(toolchain.place, folder)), ...args);
  run(program, rest);
}

/**
 * Returns a Swift file with each Swift block of a page in a separate function. `#sourceLocation` makes errors name the
 * page. The end of each function uses the page's constants, which would otherwise be reported as unused.
 */
function pageCode(page, leastBlocks) {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^ *```swift\n([^]*?)^ *```$/gm)];
  if (blocks.length < leastBlocks) throw new Error(`${page} has ${blocks.length} Swift blocks`);
  const name = basename(page, ".md").toLowerCase();
  const functions = blocks.map(({ 1: code, index }, number) => {
    const line = text.slice(0, index).split("\n").length + 1;
    const uses = Array.from(code.matchAll(/^ {0,2}let (\w+)/gm), ([, constant]) => `_ = ${constant}\n`).join("");
    return `func ${name}${number}() async throws {\n#sourceLocation(file: "${page}", line: ${line})\n${code}#sourceLocation()\n${uses}}\n`;
  });
  return [`${name}.swift`, `import Foundation\nimport Valetkey\n\n${functions.join("\n")}`];
}

copySources(toolchain);
for (const [page, leastBlocks] of Object.entries(PAGES)) {
  const [name, code] = pageCode(page, leastBlocks);
  writeFileSync(join(toolchain.place, "tests/swift/live/Sources/Pages", name), code);
}
swift(".", "build", "--build-tests", ...STRICT);
swift(".", "test", "--skip-build", "--disable-swift-testing");
swift("tests/swift/live", "build", ...STRICT);
run(process.execPath, ["--test", join(ROOT, "tests/swift/live.test.mjs")]);
