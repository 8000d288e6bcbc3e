// `make third-party`: writes THIRD_PARTY.txt, the licenses of everything that is shipped, with their copyright notices. A test fails when
// the file and what is shipped differ.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expressionOf, ROOT, shipped } from "./shipped.mjs";

export const PATH = join(ROOT, "THIRD_PARTY.txt");

/** Of alternatives, the first of these is taken. Each is in the list that deny.toml allows. */
const PREFERRED = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "Unicode-3.0"];

/** The MIT license, for packages that say so and have no file. */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** Files with a license or a notice, at the top of a package. */
const LICENSE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)([._-]|$)/i;

/** Returns the licenses of an expression that apply to us: one of each list of alternatives. */
export function takenLicenses(expression) {
  return expression.split(" AND ").map((part) => {
    const choices = part.replaceAll(/[()]/g, "").split(" OR ").map((choice) => choice.trim());
    const taken = PREFERRED.find((license) => choices.includes(license));
    if (taken === undefined) throw new Error(`${expression}: none of its licenses is allowed`);
    return taken;
  });
}

/** Returns the texts of a package that apply to us. Of a file for each alternative, the one that was taken; else all of them. */
function textsOf({ folder }, licenses) {
  if (folder === undefined) return [];
  const names = readdirSync(folder).filter((name) => LICENSE_FILE.test(name) && statSync(join(folder, name)).isFile()).sort();
  const isFor = (name, license) => name.toLowerCase().includes(license.split("-")[0].toLowerCase());
  const isNamed = (name) => PREFERRED.some((license) => isFor(name, license));
  const taken = names.filter((name) => licenses.some((license) => isFor(name, license)) || /^(notice|copyright)/i.test(name));
  const chosen = taken.some(isNamed) ? taken : names.filter((name) => !isNamed(name));
  return chosen.map((name) => readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim());
}

/** Returns the license of a package without a file: its text, and whom the package names as its authors. */
function textWithoutFile({ name, authors }, licenses) {
  if (licenses.join() !== "MIT") throw new Error(`${name} has no file with its license, and is not under the MIT license`);
  return `Copyright (c) ${authors.join(", ") || `the authors of ${name}`}\n\n${MIT}`;
}

/** Returns the text of the file. */
export async function thirdParty() {
  const groups = new Map();
  for (const one of (await shipped()).filter(({ isOwn }) => !isOwn)) {
    const expression = expressionOf(one);
    const licenses = takenLicenses(expression);
    const texts = textsOf(one, licenses);
    const title = `${one.name} ${one.version} (${licenses.join(" and ")})`;
    const text = texts.join("\n\n") || textWithoutFile(one, licenses);
    groups.set(text, [...(groups.get(text) ?? []), title]);
  }
  const sections = [...groups].map(([text, titles]) => `${"=".repeat(80)}\n${titles.join("\n")}\n${"-".repeat(80)}\n${text}\n`);
  return `Valetkey contains the packages below, under their licenses. Made by \`make third-party\`.\n\n${sections.join("\n")}`;
}

if (import.meta.main) {
  const text = await thirdParty();
  writeFileSync(PATH, text);
  console.log(`third-party: ${Math.round(text.length / 1_024)} KB in THIRD_PARTY.txt`);
}
