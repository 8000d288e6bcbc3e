// Pages and code refer to each other: links and anchors, numbered sections, decision records.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../..");
const SELF = "tests/js/docs.test.mjs";

/** Every file that git knows or would add, relative to the root. */
const FILES = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26 })
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(ROOT, file)));
const KNOWN = new Set(FILES.flatMap((file) => [file, ...parents(file)]));
const PAGES = FILES.filter((file) => file.endsWith(".md"));

/** The folders above a file. */
function parents(file) {
  const folder = dirname(file);
  return folder === "." ? ["."] : [folder, ...parents(folder)];
}

function read(file) {
  return readFileSync(join(ROOT, file), "utf8");
}

/** A page without fenced code. */
function prose(file) {
  return read(file).replaceAll(/^( *)(```+|~~~+)[^]*?^\1\2 *$/gm, "");
}

/** The relative links of a page: [target file, anchor], both as written. */
function links(file) {
  const text = prose(file).replaceAll(/`[^`\n]*`/g, "`code`");
  const targets = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target)).map((target) => target.split("#"));
}

/** The file that a link leads to, relative to the root. */
function targetOf(file, path) {
  return path === "" ? file : posix.normalize(posix.join(dirname(file), decodeURIComponent(path))).replace(/(.)\/$/, "$1");
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(file) {
  const seen = new Map();
  return new Set(
    [...prose(file).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) => {
      const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
      const slug = text.toLowerCase().replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      return count === 0 ? slug : `${slug}-${count}`;
    }),
  );
}

test("every relative link of a page leads to a file, and every anchor to a heading", () => {
  const broken = [];
  let count = 0;
  for (const file of PAGES) {
    for (const [path, anchor] of links(file)) {
      count += 1;
      const target = targetOf(file, path);
      if (!KNOWN.has(target)) broken.push(`${file}: ${path} does not exist`);
      else if (anchor !== undefined && target.endsWith(".md") && !anchors(target).has(anchor)) broken.push(`${file}: no heading ${path}#${anchor}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(count > 100, "the links are found");
});

/** Pages that code refers to by section, and the numbers of their sections. */
const SPECIFICATIONS = new Map(
  ["contract", "protocol", "vendor-api"].map((name) => [name, [...prose(`docs/${name}.md`).matchAll(/^## (\d+)\. /gm)].map(([, number]) => number)]),
);
/** The words by which code names the vendor's pages: the first column of the first table of docs/vendor-api.md. */
const VENDOR_PAGES = [...prose("docs/vendor-api.md").matchAll(/^\| ([A-Z]+) \| `/gm)].map(([, word]) => word);

const TEXT = /\.(rs|js|mjs|ts|tsx|kt|swift|py|md|html|css|toml|yaml|json)$|^Makefile$/;
const REFERRING = FILES.filter((file) => TEXT.test(file) && /^(src|simulator|tests|clients|site|scripts|docs|fuzz|examples)\/|^[^/]+$/.test(file))
  .filter((file) => file !== SELF && file !== "package-lock.json");
/** Between a page's name and the section's number: blanks or a comma, or the end of a line and the next comment mark. */
const REFERENCE = /\b(contract|protocol|vendor[- ]api),?(?:[ \t]+|[ \t]*\n[ \t]*(?:\/\/[/!]?|\*|#)?[ \t]*)(\d+)\b/gi;

test("every reference to a section of contract, protocol or vendor-api has its heading", () => {
  const broken = [];
  const found = new Set();
  for (const file of REFERRING) {
    const text = read(file);
    for (const [reference, page, number] of text.matchAll(REFERENCE)) {
      const name = page.toLowerCase().replace(" ", "-");
      found.add(`${name} ${number}`);
      if (!SPECIFICATIONS.get(name).includes(number)) broken.push(`${file}: ${reference.replaceAll(/\s+/g, " ")} has no heading`);
    }
    for (const [reference] of text.matchAll(/vendor(?:'s)? page [A-Z]{2,}/g)) broken.push(`${file}: "${reference}" is to be "vendor-api, …"`);
    for (const [, word] of text.matchAll(/\bvendor-api,? ([A-Z]{2,})\b/g)) {
      if (!VENDOR_PAGES.includes(word)) broken.push(`${file}: vendor-api has no page ${word}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(found.size > 10, `the references are found: ${[...found].join(", ")}`);
});

test("the sections of contract, protocol and vendor-api are numbered without a gap", () => {
  for (const [name, numbers] of SPECIFICATIONS) {
    assert.ok(numbers.length >= 5, name);
    assert.deepEqual(numbers, numbers.map((_, index) => String(index + 1)), name);
  }
});

test("every page in docs/ that code names exists", () => {
  const broken = [];
  for (const file of REFERRING.filter((file) => !file.endsWith(".md"))) {
    for (const [page] of read(file).matchAll(/\bdocs\/[\w/-]+\.(?:md|json)\b/g)) {
      if (!KNOWN.has(page)) broken.push(`${file}: ${page}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("every source file that a page names exists", () => {
  const broken = [];
  // Decisions and CHANGELOG tell of files that are gone.
  for (const file of PAGES.filter((file) => !file.startsWith("docs/decisions/") && file !== "CHANGELOG.md")) {
    for (const [, path] of prose(file).matchAll(/`((?:src|simulator|tests|scripts|site|clients|examples|docs)\/[\w./-]*)`/g)) {
      const target = posix.normalize(path).replace(/(.)\/$/, "$1");
      const places = [target, posix.join(dirname(file), target)];
      // Pages may also name build output, such as clients/web/dist/.
      if (!places.some((place) => KNOWN.has(place)) && !/\/dist(\/|$)/.test(target)) broken.push(`${file}: ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("every file in docs/ is reachable from docs/README.md, and every page is linked there", () => {
  const reached = new Set(["docs/README.md"]);
  for (const file of reached) {
    if (!file.endsWith(".md") || !KNOWN.has(file)) continue;
    for (const [path] of links(file)) reached.add(targetOf(file, path));
  }
  assert.deepEqual(FILES.filter((file) => file.startsWith("docs/") && !reached.has(file)), [], "not reachable");
  const linked = new Set(links("docs/README.md").map(([path]) => targetOf("docs/README.md", path)));
  const pages = PAGES.filter((file) => dirname(file) === "docs" && file !== "docs/README.md");
  assert.deepEqual(pages.filter((file) => !linked.has(file)), [], "not linked in docs/README.md");
});

test("decisions are numbered as their files are, have a status, and name their successors", () => {
  const files = FILES.filter((file) => dirname(file) === "docs/decisions" && file !== "docs/decisions/README.md").sort();
  assert.ok(files.length > 0);
  files.forEach((file, index) => {
    const number = String(index + 1).padStart(4, "0");
    assert.match(file, new RegExp(`/${number}-[a-z0-9-]+\\.md$`), "numbers have no gap");
    const text = read(file);
    assert.match(text, new RegExp(`^# ${number}: \\S`), `${file}: the title starts with its number`);
    assert.match(text, /^Status: (proposed|accepted|rejected|superseded by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\))/m, `${file}: a line Status`);
    assert.match(text, /^Date: \d{4}-\d{2}-\d{2}$/m, `${file}: a line Date`);
    for (const [, name, target] of text.matchAll(/\[(\d{4})\]\((\d{4})-/g)) assert.equal(target, name, `${file}: a link leads elsewhere`);
  });
});
