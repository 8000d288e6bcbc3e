// Checks docs/openapi.json by itself: the rules of redocly.yaml, and each example against its schema. tests/openapi.rs
// compares the document with the code, tests/openapi/ with a running Worker.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ROOT = resolve(import.meta.dirname, "../..");
const FILE = join(ROOT, "docs/openapi.json");
const document = JSON.parse(readFileSync(FILE, "utf8"));

/** Lints a document by redocly.yaml. The exceptions in .redocly.lint-ignore.yaml apply to docs/openapi.json alone. */
function lint(file) {
  const command = join(ROOT, "node_modules/@redocly/cli/bin/cli.js");
  const flags = ["lint", file, "--config", join(ROOT, "redocly.yaml"), "--format", "json"];
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...flags], { cwd: ROOT, encoding: "utf8", env });
  assert.ok(stdout.includes("{"), stderr);
  return { status, ...JSON.parse(stdout.slice(stdout.indexOf("{"))) };
}

function lintChanged(change) {
  const directory = mkdtempSync(join(tmpdir(), "valetkey-lint-"));
  try {
    const changed = structuredClone(document);
    change(changed);
    const file = join(directory, "openapi.json");
    writeFileSync(file, JSON.stringify(changed));
    return lint(file).problems.map(({ ruleId }) => ruleId);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("the document follows redocly's strict rules", () => {
  const { status, problems } = lint("docs/openapi.json");
  assert.deepEqual(problems, []);
  assert.equal(status, 0);
});

test("redocly finds an example that violates its schema, and a reference that does not resolve", () => {
  const rules = lintChanged((changed) => {
    changed.components.examples.not_found.value.error.code = "no_such_code";
    changed.paths["/v1/account"].get.responses["401"].$ref = "#/components/responses/NoSuchResponse";
  });
  assert.ok(rules.includes("no-invalid-media-type-examples"), rules.join());
  assert.ok(rules.includes("no-unresolved-refs"), rules.join());
});

/** Resolves a `$ref`. Returns any other value unchanged. */
function resolved(value) {
  if (value?.$ref === undefined) return value;
  const steps = value.$ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((place, step) => place[step], document);
}

/** Returns every media type of every request and response. `place` is the operation, `request` or status, and type. */
function mediaTypes() {
  return Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap((operation) => {
      const bodies = [["request", operation.requestBody], ...Object.entries(operation.responses)];
      return bodies.flatMap(([name, body]) =>
        Object.entries(resolved(body)?.content ?? {}).map(([type, content]) => ({
          place: `${operation.operationId} ${name} ${type}`,
          ...content,
        })),
      );
    }),
  );
}

// Strict: an unknown keyword or format is an error. `binary` is OpenAPI's own format.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, formats: { binary: true } });
addFormats(ajv);
const rooted = (schema) => JSON.parse(JSON.stringify(schema).replaceAll("#/components/schemas/", "openapi#/$defs/"));
ajv.addSchema({ $id: "openapi", $defs: rooted(document.components.schemas) });
const compiled = (schema) => ajv.compile(rooted(schema));

test("each example matches its schema", () => {
  let checked = 0;
  for (const { place, schema, examples = {} } of mediaTypes()) {
    const validate = compiled(schema);
    for (const [name, example] of Object.entries(examples)) {
      assert.ok(validate(resolved(example).value), `${place} ${name}: ${ajv.errorsText(validate.errors)}`);
      checked += 1;
    }
  }
  assert.ok(checked > 100, `only ${checked} examples`);
});

test("the data of an event's example is a prediction", () => {
  const { schema, examples } = document.paths["/v1/predictions/{job_id}/events"].get.responses[200].content["text/event-stream"];
  const validate = compiled(resolved(schema).properties.data.contentSchema);
  for (const { value } of Object.values(examples)) assert.ok(validate(JSON.parse(value.data)), value.data);
});

test("the pattern of Idempotency-Key accepts what src/wire/headers.rs accepts: one printable value", () => {
  const { pattern, minLength, maxLength } = document.components.parameters.IdempotencyKey.schema;
  const all = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).join("").trim();
  for (const good of ["k", "550e8400-e29b-41d4-a716-446655440000", "a,b", "a ,b", "a,", ",,", "a  b", all]) assert.match(good, new RegExp(pattern, "u"), good);
  for (const bad of ["", "a, b", "a,  b", ", b", "a\tb", "a\0b", "é", " a", "a "]) assert.doesNotMatch(bad, new RegExp(pattern, "u"), bad);
  assert.deepEqual([minLength, maxLength], [1, 255]);
});

test("each response has an example, and each property of a schema has a description", () => {
  const JSON_OF_NO_SHAPE = "getOpenApi 200 application/json";
  const bare = mediaTypes().filter(({ place, examples }) => / \d{3} /.test(place) && examples === undefined);
  assert.deepEqual(bare.map(({ place }) => place), [JSON_OF_NO_SHAPE]);
  const silent = [];
  const visit = (schema, path) => {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const place = `${path}.${name}`;
      if (property.$ref === undefined && property.description === undefined) silent.push(place);
      visit(property, place);
    }
    for (const part of [schema.items, ...(schema.oneOf ?? [])].filter(Boolean)) visit(part, path);
  };
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    if (schema.description === undefined) silent.push(name);
    visit(schema, name);
  }
  assert.deepEqual(silent, []);
});
