// The programs of this folder, with the two lines that migration changes. Pure but for reading the files.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "programs");

/** What the two lines start with; what follows up to the end of the line is the value. */
const PLACES = { baseUrl: /^((?:const )?BASE_URL ?= ?).*?(;?)$/gm, bearer: /^((?:const )?BEARER ?= ?).*?(;?)$/gm };

export const programNames = () => readdirSync(FOLDER).sort();

export const programText = (name) => readFileSync(join(FOLDER, name), "utf8");

/** The program with other values, `{baseUrl, bearer}`, in its two places. A JSON string is one in sh, JavaScript and Python. */
export function withValues(text, values) {
  return Object.entries(PLACES).reduce((changed, [name, place]) => {
    const found = changed.match(place) ?? [];
    if (found.length !== 1) throw new Error(`${found.length} places for ${name}`);
    return changed.replace(place, (_, before, after) => before + JSON.stringify(values[name]) + after);
  }, text);
}

/** The lines in which two texts differ; texts of different length differ in everything. */
export function differingLines(one, other) {
  const [lines, others] = [one.split("\n"), other.split("\n")];
  return lines.length === others.length ? lines.filter((line, index) => line !== others[index]) : lines;
}
