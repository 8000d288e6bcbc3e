// `make client-types`: generates clients/web/src/schema.ts from docs/openapi.json. A test fails when the two differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";

const root = resolve(import.meta.dirname, "..");
export const TYPES_PATH = join(root, "clients/web/src/schema.ts");

/** The schemas that a client of `/v1` sends or receives. The document's other schemas are for `/admin` and `/auth`. */
const SCHEMAS = [
  "ErrorCode", "PredictionStatus", "PredictionErrorCode", "Prediction", "PredictionList", "NamedCreateRequest", "Batch", "InputRule", "Model",
  "ModelList", "Estimate", "File", "FileList", "UsageDay", "Usage", "Account", "MinuteLimit", "RateLimits", "Balance",
];
const BANNER = "// Made from docs/openapi.json by `make client-types`. Do not edit.\n";
/** The generator's note about the definition behind a type. Removed: it tells a reader of the types nothing. */
const ORIGIN = /\n? \*(?: \*)?\n \* This interface was referenced by `Schemas`'s JSON-Schema\n \* via the `definition` "\w+"\.|\/\*\*\n \* This interface was referenced by `Schemas`'s JSON-Schema\n \* via the `definition` "\w+"\.\n \*\/\n/g;

export async function clientTypes() {
  const text = readFileSync(join(root, "docs/openapi.json"), "utf8").replaceAll("#/components/schemas/", "#/$defs/");
  const { schemas } = JSON.parse(text).components;
  const $defs = Object.fromEntries(SCHEMAS.map((name) => [name, schemas[name]]));
  // `default` may be any JSON value, but the generator types a schema without `type` as an object.
  $defs.InputRule.properties.default.tsType = "unknown";
  const types = await compile({ $defs, type: "object", additionalProperties: false }, "Schemas", {
    additionalProperties: false,
    bannerComment: BANNER,
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: true,
  });
  return types.replaceAll(ORIGIN, "").replace("export interface Schemas {}\n", "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TYPES_PATH, await clientTypes());
