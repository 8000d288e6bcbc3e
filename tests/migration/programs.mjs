// The programs in programs/, and the two lines that migration changes. Pure except for reading the files.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "programs");

/** The two lines. The first group is what stands before the value, the second what stands after it. */
const PLACES = { baseUrl: /^((?:const )?BASE_URL ?= ?).*?(;?)$/gm, bearer: /^((?:const )?BEARER ?= ?).*?(;?)$/gm };

export const programNames = () => readdirSync(FOLDER).sort();

export const programText = (name) => readFileSync(join(FOLDER, name), "utf8");

/** Returns the program with other values `{baseUrl, bearer}`. A JSON string is also a string in sh, JS and Python. */
export function withValues(text, values) {
  return Object.entries(PLACES).reduce((changed, [name, place]) => {
    const found = changed.match(place) ?? [];
    if (found.length !== 1) throw new Error(`the program has ${found.length} lines for ${name}, not one`);
    return changed.replace(place, (_, before, after) => before + JSON.stringify(values[name]) + after);
  }, text);
}

/** Returns the lines of `one` that differ from `other`: all of them if the numbers of lines differ. */
export function differingLines(one, other) {
  const [lines, others] = [one.split("\n"), other.split("\n")];
  return lines.length === others.length ? lines.filter((line, index) => line !== others[index]) : lines;
}
