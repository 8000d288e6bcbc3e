// Compares the names in clients/swift with docs/openapi.json and the TypeScript client. tests/swift compiles and runs it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ValetkeyError } from "../../clients/web/src/index.ts";
import { CODES_OF_APPS } from "../support/codes.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const SWIFT = join(ROOT, "clients/swift");
const SOURCES = join(SWIFT, "Sources/Valetkey");
const read = (path) => readFileSync(join(SWIFT, path), "utf8");
const sources = readdirSync(SOURCES).map((name) => [name, readFileSync(join(SOURCES, name), "utf8")]);
const { schemas } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8")).components;

/** The Swift types that are read from JSON, and the schemas of the API that they are. */
const { Prediction, Account } = schemas;
const TYPES = {
  Prediction,
  Failure: Prediction.properties.error.oneOf.find(({ properties }) => properties),
  Metrics: Prediction.properties.metrics,
  Queue: Prediction.properties.queue,
  Page: schemas.PredictionList,
  StoredFile: schemas.File,
  Account,
  Limits: Account.properties.limits,
  Usage: Account.properties.usage,
  ModelList: schemas.ModelList,
  Estimate: schemas.Estimate,
  Model: schemas.Model,
  InputRule: schemas.InputRule,
};

/** Returns the stored members of each struct in `text`, as `{type, name, wire, isOptional}`. */
function membersOf(text) {
  const found = [];
  const open = [];
  for (const line of text.split("\n")) {
    const indent = /^ */.exec(line)[0].length;
    while (open.length > 0 && indent <= open.at(-1).indent && line.trim() !== "") open.pop();
    const type = /^ *(?:public )?struct (\w+)/.exec(line)?.[1];
    if (type !== undefined) open.push({ type, indent, wires: {} });
    const owner = open.at(-1);
    if (owner === undefined) continue;
    const [, name, kind] = /^ *(?:public )?let (\w+): (.+)$/.exec(line) ?? [];
    if (name !== undefined && indent === owner.indent + 4) found.push({ owner, type: owner.type, name, isOptional: kind.endsWith("?") });
    const [, swift, wire] = /^ *case (\w+) = "(\w+)"$/.exec(line) ?? [];
    if (swift !== undefined) owner.wires[swift] = wire;
  }
  return found.map(({ owner, ...member }) => ({ ...member, wire: owner.wires[member.name] ?? member.name }));
}

test("each code has the same advice as in the TypeScript client", () => {
  const advice = { repeat: "repeat", wait: "wait", askUser: "ask_user", giveUp: "give_up" };
  const rows = [...read("Sources/Valetkey/Code.swift").matchAll(/^ {8}"(\w+)": \.(\w+),$/gm)];
  assert.deepEqual(rows.map(([, code]) => code).sort(), CODES_OF_APPS);
  for (const [, code, word] of rows) assert.equal(advice[word], new ValetkeyError(code, "").advice, code);
});

test("it knows every status", () => {
  const [, statuses] = /case (queued[\w, ]+)$/m.exec(read("Sources/Valetkey/Prediction.swift"));
  assert.deepEqual(statuses.split(", "), schemas.PredictionStatus.enum);
});

test("every member that it reads is in the API, and is required there if the client requires it", () => {
  const members = ["Prediction", "Objects"].flatMap((name) => membersOf(read(`Sources/Valetkey/${name}.swift`)));
  assert.deepEqual([...new Set(members.map(({ type }) => type))].sort(), Object.keys(TYPES).sort());
  for (const { type, wire, isOptional, name } of members) {
    const { properties, required = [] } = TYPES[type];
    assert.ok(wire in properties, `${type}.${name}`);
    // The client has a default of its own for this one.
    if (name === "isRequired") continue;
    const isNullable = [properties[wire].type].flat().includes("null");
    if (!isOptional) assert.ok(required.includes(wire) && !isNullable, `${type}.${name} may be absent`);
  }
});

test("it has no code of its own for Linux but an import and a clock, so that the tests run what Apple's platforms run", () => {
  for (const [name, text] of sources) {
    const conditions = text.match(/^ *#(if|elseif) .+$/gm) ?? [];
    const allowed = name === "Uptime.swift" ? "    #if canImport(Darwin)" : "#if canImport(FoundationNetworking)";
    for (const condition of conditions) assert.equal(condition, allowed, name);
    if (/\bURL(Session|Request|Error\()|\bHTTPURLResponse/.test(text.replace(/\/\/.*/g, ""))) assert.ok(conditions.length > 0, `${name} needs the import`);
  }
});

test("README says what no test compiles", () => {
  assert.match(read("README.md"), /\*\*Not compiled by this project's tests: iOS, macOS, tvOS and watchOS\.\*\*/);
});

test("README names every method", () => {
  const methods = sources.flatMap(([, text]) => Array.from(text.matchAll(/^ {4}public func (\w+)\(/gm), ([, name]) => name)).filter((name) => name !== "encode");
  assert.ok(methods.length >= 15, `${methods}`);
  for (const method of methods) assert.ok(read("README.md").includes(`\`${method}(`), method);
});
