// Compares clients/kotlin with docs/openapi.json and the TypeScript client, and its README with code that tests run.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ValetkeyError } from "../../clients/web/src/index.ts";
import { CODES_OF_APPS } from "../support/codes.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const KOTLIN = join(ROOT, "clients/kotlin");
const read = (path) => readFileSync(join(KOTLIN, path), "utf8");
const main = (name) => read(`src/main/kotlin/valetkey/${name}.kt`);
const { schemas } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8")).components;

const codes = [...main("ValetkeyException").matchAll(/^ {4}([A-Z_]+)\("(\w+)", Advice\.(\w+)\)[,;]$/gm)];

test("its codes are those of the API, of predictions and of the clients themselves", () => {
  assert.deepEqual(codes.map(([, , wire]) => wire).sort(), CODES_OF_APPS);
  for (const [, name, wire] of codes) assert.equal(name, wire.toUpperCase());
});

test("each code has the same advice as in the TypeScript client", () => {
  for (const [, , wire, advice] of codes) assert.equal(advice.toLowerCase(), new ValetkeyError(wire, "").advice, wire);
});

test("it knows every status", () => {
  const statuses = [...main("Prediction").matchAll(/^ {4}[A-Z]+\("(\w+)", (?:true|false)\),$/gm)].map(([, wire]) => wire);
  assert.deepEqual(statuses, schemas.PredictionStatus.enum);
});

test("every member that it reads is in the API, and is required there if the client requires it", () => {
  const { Prediction, File, Account, Model, ModelList, InputRule, Estimate, PredictionList, FileList } = schemas;
  const { queue, error, metrics } = Prediction.properties;
  const partsOf = {
    Prediction: [Prediction, queue, error.oneOf?.find(({ properties }) => properties) ?? error, metrics],
    StoredFile: [File],
    Account: [Account, Account.properties.usage, Account.properties.limits],
    Model: [Model, ModelList, InputRule, Estimate],
    Page: [PredictionList, FileList],
  };
  const readers = /\b(text|texts|list|number|required|each|optional|optionalText|optionalNumber|flag|value)\("(\w+)"\)/g;
  for (const [file, parts] of Object.entries(partsOf)) {
    const read = [...main(file).matchAll(readers)];
    assert.ok(read.length > 0, file);
    for (const [, kind, name] of read) {
      const holders = parts.filter(({ properties = {} }) => name in properties);
      assert.ok(holders.length > 0, name);
      if (/^(text|texts|list|number|required|each)$/.test(kind)) assert.ok(holders.some(({ required = [] }) => required.includes(name)), `${name} may be absent`);
    }
  }
});

test("it reads every member of an input's rules", () => {
  const read = [...main("Model").split("private fun ruleOf")[1].matchAll(/\("(\w+)"\)/g)].map(([, name]) => name);
  assert.deepEqual(read.sort(), Object.keys(schemas.InputRule.properties).sort());
});

/** The public methods of a class, with their parameters' names. */
const methodsOf = (name) =>
  [...main(name).matchAll(/^ {4}public (?:suspend )?fun (\w+)\(([^]*?)\)(?:: [\w<>]+)? [={]/gm)]
    .map(([, method, parameters]) => `${method}(${[...parameters.matchAll(/(?:^|[\n(,]\s*)(\w+): (?![^(]*\) ->)/g)].map(([, parameter]) => parameter).join(", ")})`)
    .sort();

test("the client for coroutines has the methods of the blocking one, and README lists them", () => {
  const methods = methodsOf("Valetkey");
  assert.ok(methods.length > 14 && methods.includes("create(model, input, idempotencyKey, imageCount)"), methods.join());
  assert.deepEqual(methodsOf("CoroutineValetkey"), methods);
  const rows = [...read("README.md").matchAll(/^\| (`\w+\(.*?) \|/gm)].flatMap(([, calls]) => [...calls.matchAll(/`(.*?)`/g)].map(([, call]) => call));
  assert.deepEqual(rows.sort(), methods);
});

test("README says what no test runs", () => {
  assert.match(read("README.md"), /\*\*Not run by this project's tests: Android, and the Gradle build\.\*\*/);
});

test("Gradle uses the same compiler version as the tests", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.ok(read("build.gradle.kts").includes(`kotlin("jvm") version "${devDependencies["kotlin-compiler"]}"`));
});

test("Gradle publishes the library with what Maven Central wants", () => {
  const gradle = read("build.gradle.kts");
  for (const part of ["`maven-publish`", 'from(components["java"])', "withSourcesJar()", "withJavadocJar()", "licenses {", "developers {", "scm {", "url.set(", "description.set("]) {
    assert.ok(gradle.includes(part), part);
  }
});

test("all packages have the same version", () => {
  const versions = ["clients/web", "cli"].map((folder) => JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8")).version);
  assert.deepEqual([...versions, /^version = "(.+)"$/m.exec(read("build.gradle.kts"))[1]], Array(3).fill(versions[0]));
});

test("Gradle passes the same compiler flags as the tests", () => {
  const gradle = read("build.gradle.kts");
  const runner = readFileSync(join(ROOT, "tests/kotlin/run.mjs"), "utf8");
  const flag = (name) => new RegExp(`"-${name}[=",\\s]+([\\d.]+)"`).exec(runner)?.[1];
  const versions = [...gradle.matchAll(/(languageVersion|apiVersion) = .*KOTLIN_(\d+)_(\d+)$/gm)].map(([, name, ...digits]) => [name, digits.join(".")]);
  assert.deepEqual(versions, [["languageVersion", flag("language-version")], ["apiVersion", flag("api-version")]]);
  assert.ok(gradle.includes(`compilerOptions.freeCompilerArgs.add("-Xjdk-release=${flag("Xjdk-release")}")`));
  assert.ok(gradle.includes(`jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_${flag("jvm-target").replace(".", "_")}`));
});

test("the library imports only what Android 5, Java 8 and Kotlin's standard library provide, and coroutines in one file", () => {
  const known = /^(java\.(io|math|net|security)\.|java\.nio\.(ByteBuffer$|charset\.)|java\.util\.(Collections|WeakHashMap)$|java\.util\.concurrent\.(?!CompletableFuture)|kotlin\.)/;
  for (const file of readdirSync(join(KOTLIN, "src/main/kotlin/valetkey")).filter((name) => name !== "CoroutineValetkey.kt")) {
    for (const [, path] of main(file.replace(/\.kt$/, "")).matchAll(/^import (\S+)/gm)) assert.match(path, known, file);
  }
});

test("its regular expressions avoid \\w, \\d and \\b, which match Unicode on Android", () => {
  for (const file of readdirSync(join(KOTLIN, "src/main/kotlin/valetkey"))) assert.doesNotMatch(main(file.replace(/\.kt$/, "")), /\\\\[wdb]/i, file);
});
