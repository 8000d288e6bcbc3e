// docs/migrate.md shows programs that are tested, and no other code.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { programText } from "./programs.mjs";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/migrate.md"), "utf8");

/** Returns the page's blocks of code in a language. */
function blocks(language) {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))].map(([, code]) => code);
}

export default [
  [
    "docs/migrate.md shows one tested program in each language, unchanged",
    () => {
      for (const [language, name] of [["sh", "picture.sh"], ["js", "picture.mjs"], ["python", "picture.py"]]) {
        assert.deepEqual(blocks(language), [programText(name)]);
      }
    },
  ],
  [
    "docs/migrate.md's diff changes two lines of picture.mjs",
    () => {
      const [diff] = blocks("diff");
      const lines = (sign) => diff.split("\n").filter((line) => line.startsWith(sign)).map((line) => line.slice(1));
      assert.equal(lines("-").length, 2);
      assert.equal(lines("+").length, 2);
      for (const line of lines("-")) assert.ok(programText("picture.mjs").split("\n").includes(line), line);
    },
  ],
  [
    "docs/migrate.md lists every program, and each has a case",
    ({ programs, cases }) => {
      const listed = [...PAGE.matchAll(/^\| \[`([\w.]+)`\]\(\.\.\/tests\/migration\/programs\/\1\) \|/gm)].map(([, name]) => name);
      assert.deepEqual(listed.sort(), programs);
      assert.deepEqual(cases.sort(), programs);
    },
  ],
];
