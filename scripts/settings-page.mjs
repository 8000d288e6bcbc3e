// `make settings-page`: writes the tables of docs/settings.md from cli/valetkey.schema.json. A test fails when the two differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(import.meta.dirname, "..");
export const PAGE = join(root, "docs/settings.md");
const U32_MAX = 4_294_967_295;
const START = "<!-- Made from cli/valetkey.schema.json by `make settings-page`. Do not edit below. -->\n";

/** The objects that have a table: [heading, definition]. */
const OBJECTS = [
  ["`ISSUERS[…]`", "issuer"],
  ["`POLICY.plans.…`", "plan"],
  ["`POLICY.models.…`", "model"],
  ["`POLICY.models.….input.…`", "rule"],
  ["`POLICY.key`", "key"],
];

/** Returns the page with its tables. */
export function withTables(page) {
  const schema = JSON.parse(readFileSync(join(root, "cli/valetkey.schema.json"), "utf8"));
  const [prose] = page.split(START);
  const tables = OBJECTS.map(([heading, name]) => `### ${heading}\n\n${tableOf(schema.$defs[name])}`);
  return `${prose}${START}\n${tables.join("\n")}`;
}

function tableOf({ properties, required = [] }, prefix = "") {
  const rows = Object.entries(properties).flatMap(([name, schema]) => {
    const row = `| \`${prefix}${name}\` | ${formOf(schema)} | ${standardOf(schema, required.includes(name))} | ${schema.description.replaceAll("|", "\\|")} |\n`;
    const below = schema.properties === undefined ? "" : tableOf(schema, `${prefix}${name}.`).split("\n").slice(2).join("\n");
    return [row, below];
  });
  return `| member | form | default | what it is |\n|---|---|---|---|\n${rows.join("")}`;
}

function standardOf({ default: standard }, isRequired) {
  if (isRequired) return "required";
  return standard === undefined ? "none" : `\`${JSON.stringify(standard)}\``;
}

function formOf({ type, enum: words, items, minimum, maximum, exclusiveMinimum, pattern, $ref, oneOf, properties }) {
  if (words !== undefined) return words.map((word) => `\`${word}\``).join(", ");
  if ($ref !== undefined || properties !== undefined || oneOf !== undefined) return "object";
  if (type === "array") return items?.enum === undefined ? "list" : `list of ${items.enum.map((word) => `\`${word}\``).join(", ")}`;
  const [kind, nullable] = Array.isArray(type) ? [type[0], type.includes("null") ? ", or `null`" : ""] : [type, ""];
  if (kind === "integer" || kind === "number") return `${numberForm(kind, minimum ?? exclusiveMinimum, maximum, exclusiveMinimum !== undefined)}${nullable}`;
  if (pattern?.startsWith("^[0-9]+(")) return `decimal text${nullable}`;
  return `${{ boolean: "`true`, `false`", string: "text", object: "object" }[kind] ?? "any value"}${nullable}`;
}

function numberForm(kind, least, most, isAbove) {
  const word = kind === "integer" ? "whole number" : "number";
  const shown = (number) => number.toLocaleString("en-US");
  // The parser reads such a number into 32 bits, which bounds nothing in practice.
  if (most === undefined || most === U32_MAX) return word;
  return isAbove ? `${word} above ${shown(least)}, at most ${shown(most)}` : `${word} from ${shown(least)} to ${shown(most)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8")));
