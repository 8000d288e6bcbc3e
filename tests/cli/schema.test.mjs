// The schema of valetkey.jsonc and the Worker's parser judge the same settings the same way. tests/core/drift.rs compares
// the names of their members.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import Ajv from "ajv";
import { variablesOf } from "../../cli/src/project/variables.ts";
import { ROOT, VENDOR_KEY } from "./machine.mjs";

const CHECK = join(ROOT, "build/check/check.cjs");
if (!existsSync(CHECK)) throw new Error(`${CHECK} is missing: run \`make bundle\` first`);
const { check } = createRequire(import.meta.url)(CHECK);
const SCHEMA = JSON.parse(readFileSync(join(ROOT, "cli/valetkey.schema.json"), "utf8"));
const isInSchema = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false }).compile(SCHEMA);

/** Settings with every member of the schema. */
function complete() {
  return {
    $schema: "./valetkey.schema.json",
    ALLOWED_ORIGINS: ["https://app.example.com"],
    ISSUERS: [
      {
        issuer: "https://app.example.com", audience: ["a"], keys: { secret: "APP_SECRET" }, algorithms: ["HS256"], use: ["access"], max_lifetime_secs: 900, leeway_secs: 5,
        token_types: ["JWT"], extra_header_members: ["cat"], audience_claim: "aud", plan_claim: "plan", dpop: "allowed", admins: { a: ["read"] }, email_trusted: false,
      },
    ],
    POLICY: {
      plans: {
        default: {
          requests_per_minute: 60, predictions_per_minute: 10, concurrent_predictions: 2, daily_credits: "50", models: ["a/b"], weight: 1, max_waiting: 20, max_files: 5,
          max_file_bytes: 5, pool_daily_credits: "9", pool_waiting_share: 0.5, pool_weight: 1, pool_concurrent_predictions: 1,
        },
        guest: { requests_per_minute: 60, predictions_per_minute: 10, concurrent_predictions: 2, daily_credits: "5", pool_daily_credits: "9", pool_waiting_share: 0.5 },
      },
      models: {
        "a/b": {
          credits: "2.5", max_seconds: 60, max_image_count: 1,
          input: {
            text: { type: "string", required: false, max_length: 10, default: "x" },
            url: { type: "string", format: "https-url" },
            choice: { type: "string", enum: ["a"] },
            number: { type: "number", min: 1, max: 2 },
            list: { type: "array", items: { type: "string" }, max_items: 3 },
          },
        },
      },
      key: { requests_per_minute: 1_000_000, concurrent_predictions: 5, daily_credits: "9", expected_other_requests_per_minute: 0, queue: { max_waiting: 5, max_wait_secs: 5 } },
    },
    PUBLIC_URL: "https://api.example.com",
    UPSTREAM_URL: "https://vendor.example/v1",
    DEMO: "on",
    DEMO_SESSION_URL: "https://app.example.com/valetkey-token",
    TURNSTILE_SITE_KEY: "0x4AAAAAAA_demo-key",
    DOCS_URL: "https://docs.example/errors",
    LOG_LEVEL: "info",
    TOKEN_LIFETIME_SECS: 300,
    TURNSTILE_URL: "https://turnstile.example/",
    ALERT_WEBHOOK_URL: "https://hooks.example/",
    EVENTS_WEBHOOK_URL: "https://hooks.example/",
    DEV_LAN: "off",
    JURISDICTION: "eu",
    DISPATCHER_LOCATION: "weur",
    RETENTION_DAYS: 7,
  };
}

const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
/** With guests, whom TURNSTILE_SITE_KEY is for. */
const SECRETS = {
  DEEPCREATIVE_API_KEY: VENDOR_KEY,
  APP_SECRET: "0123456789abcdef0123456789abcdef",
  TOKEN_SIGNING_KEYS: JSON.stringify({ keys: [{ kty, crv, kid: "k1", x, d }] }),
  TURNSTILE_SECRET: "a-secret-of-turnstile",
  ALERT_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  EVENTS_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
};

function parserProblems(settings) {
  return JSON.parse(check(JSON.stringify({ settings: { ...variablesOf(settings), ...SECRETS }, host: null }))).problems;
}

/** The schemas of the members of an object, with the path to an example of each object in `complete()`. */
const OBJECTS = [
  [[], SCHEMA],
  [["ISSUERS", 0], SCHEMA.$defs.issuer],
  [["POLICY"], SCHEMA.$defs.policy],
  [["POLICY", "plans", "default"], SCHEMA.$defs.plan],
  [["POLICY", "models", "a/b"], SCHEMA.$defs.model],
  [["POLICY", "key"], SCHEMA.$defs.key],
  [["POLICY", "key", "queue"], SCHEMA.$defs.key.properties.queue],
  ...["text", "url", "choice", "number", "list"].map((input) => [["POLICY", "models", "a/b", "input", input], SCHEMA.$defs.rule]),
];

function at(settings, path) {
  return path.reduce((value, step) => value[step], settings);
}

/** Values that a member's schema says something about: its bounds and beyond, other types, its words and another. */
function valuesOf(schema) {
  const { minimum, maximum, enum: words, items, exclusiveMinimum } = schema;
  const bounds = [minimum, maximum, exclusiveMinimum].filter((bound) => bound !== undefined);
  const listed = items?.enum === undefined ? [] : [...items.enum.map((word) => [word]), ["no-such-word"], []];
  return [...bounds.flatMap((bound) => [bound - 1, bound, bound + 1]), ...(words ?? []), ...listed, "no-such-word", true, false, -1, 1.5, null, [], {}, [1], ""];
}

/** What only the parser can know, such as rules between members; and what it accepts on purpose although editors should not. */
const DIFFERENCES = new Set(["use", "algorithms", "models", "default", "enum", "min", "max", "type", "format", "items", "max_items", "max_length", "required", "expected_other_requests_per_minute", "max_lifetime_secs", "extra_header_members"]);

test("the settings with every member are right for both", () => {
  assert.deepEqual(parserProblems(complete()), []);
  assert.ok(isInSchema(complete()), JSON.stringify(isInSchema.errors));
});

test("`complete` has every member of the schema, so each is compared", () => {
  const seen = new Map();
  for (const [path, { properties }] of OBJECTS) {
    for (const name of Object.keys(properties)) {
      const key = `${JSON.stringify(Object.keys(properties).slice(0, 2))} ${name}`;
      seen.set(key, (seen.get(key) ?? false) || name in at(complete(), path));
    }
  }
  assert.deepEqual([...seen].filter(([, isThere]) => !isThere).map(([name]) => name), []);
});

for (const [path, { properties, required = [] }] of OBJECTS) {
  const name = path.length === 0 ? "the settings" : path.join(".");
  test(`schema and parser judge each member of ${name} the same`, () => {
    const different = [];
    let count = 0;
    for (const [member, schema] of Object.entries(properties)) {
      if (!(member in at(complete(), path)) || member === "$schema" || schema.$ref !== undefined) continue;
      for (const value of valuesOf(schema)) {
        const settings = complete();
        at(settings, path)[member] = value;
        const bySchema = isInSchema(settings);
        const byParser = parserProblems(settings).length === 0;
        count += 1;
        // The schema may never refuse what the parser accepts, where only the parser knows the whole rule.
        const isFine = bySchema === byParser || (DIFFERENCES.has(member) && bySchema && !byParser);
        if (!isFine) different.push(`${member} = ${JSON.stringify(value)}: the schema ${bySchema ? "accepts" : "refuses"} it, the parser does not`);
      }
    }
    assert.deepEqual(different, []);
    assert.ok(count > 0);
  });

  test(`schema and parser require the same members of ${name}`, () => {
    for (const member of Object.keys(properties)) {
      const settings = complete();
      if (!(member in at(settings, path))) continue;
      delete at(settings, path)[member];
      // Rules between members, which the schema does not know: guests' tokens name PUBLIC_URL.
      if (member === "items" || member === "PUBLIC_URL") continue;
      assert.equal(parserProblems(settings).length > 0, required.includes(member), `${member}: ${JSON.stringify(parserProblems(settings))}`);
      assert.equal(isInSchema(settings), !required.includes(member), member);
    }
    const settings = complete();
    at(settings, path)["no_such_member"] = 1;
    assert.equal(isInSchema(settings), false);
    if (path.length > 0) assert.ok(parserProblems(settings).length > 0);
  });
}

test("every member of the schema has a description for the editor", () => {
  const missing = [];
  for (const [path, { properties }] of OBJECTS) {
    for (const [name, { description, $ref }] of Object.entries(properties)) {
      if (name !== "$schema" && description === undefined && $ref === undefined) missing.push(`${path.join(".")}.${name}`);
    }
  }
  assert.deepEqual(missing, []);
});
