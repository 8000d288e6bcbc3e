// `make test-swift`: parses every Swift file of clients/swift, and the Swift in its README and in docs/mobile.md, with
// tree-sitter-swift. There is no Swift toolchain where the tests run, so code that parses may still not compile.
//
//   PYTHON_BIN   a Python with the packages of tests/requirements.txt; default: the Makefile's, else python3
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { findPython } from "../support/program.mjs";
import { Suite } from "../support/suite.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SWIFT = join(ROOT, "clients/swift");
const FILES = readdirSync(SWIFT, { recursive: true }).filter((name) => name.endsWith(".swift")).map((name) => join(SWIFT, name));
const PAGES = ["clients/swift/README.md", "docs/mobile.md"].map((name) => join(ROOT, name));

/** Typical mistakes, planted to test the parser: `[what, from, to]`. */
const MISTAKES = [
  ["an unclosed brace", /\}(?=[^}]*$)/, ""],
  ["a superfluous bracket", /^([^/\n]*\))/m, "$1)"],
  ["a parameter without a colon", /(func \w+\(\w+ ?\w*): /, "$1 "],
  ["half a declaration", /\blet \w+ = .*$/m, "let = "],
  ["a keyword of another language", /^( *)(?:let|var) /m, "$1const let "],
];

const python = findPython("tree_sitter, tree_sitter_swift");

function parse(...files) {
  const { status, stdout, stderr } = spawnSync(python, [join(import.meta.dirname, "parse.py"), ...files], { encoding: "utf8" });
  assert.equal(stderr, "");
  return { status, stdout };
}

/** Parses `texts`, an object from file name to text. Returns the lines with problems, by file name. */
function parseTexts(texts) {
  const directory = mkdtempSync(join(tmpdir(), "valetkey-swift-"));
  try {
    const paths = Object.entries(texts).map(([name, text]) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    });
    const { stdout, status } = parse(...paths);
    const found = Object.fromEntries(paths.map((path) => [basename(path), []]));
    for (const [, path, line] of stdout.matchAll(/^(.+):(\d+):\d+: /gm)) found[basename(path)].push(Number(line));
    assert.equal(status, Object.values(found).flat().length > 0 ? 1 : 0);
    return found;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const tests = [
  ["every file and every Swift block of the pages parses", () => {
    assert.ok(FILES.length >= 8);
    const { status, stdout } = parse(...FILES, ...PAGES);
    assert.equal(status, 0, stdout);
    console.log(`        ${stdout.trim()}`);
  }],
  ["a mistake in any file is found", () => {
    const texts = {};
    for (const file of FILES) {
      const text = readFileSync(file, "utf8");
      const planted = MISTAKES.filter(([, from]) => from.test(text));
      assert.ok(planted.length >= 2, file);
      for (const [what, from, to] of planted) texts[`${what} in ${basename(file)}`] = text.replace(from, to);
    }
    for (const [name, lines] of Object.entries(parseTexts(texts))) assert.ok(lines.length > 0, name);
  }],
  ["a mistake in a page is found, at its line", () => {
    for (const page of PAGES) {
      const text = readFileSync(page, "utf8");
      const line = text.split("\n").indexOf("```swift") + 2;
      const found = parseTexts({ "page.md": text.replace("```swift\n", "```swift\nlet = }\n") });
      assert.equal(found["page.md"][0], line);
    }
  }],
  ["a page without a Swift block is a problem", () => {
    assert.deepEqual(parseTexts({ "page.md": "# Valetkey for Swift\n" }), { "page.md": [1] });
  }],
];

const suite = new Suite();
if (python === undefined) suite.skip("clients/swift", "no python3 with the packages of tests/requirements.txt");
else await suite.run(tests);
suite.finish();
