// Compares clients/kotlin with docs/openapi.json and the TypeScript client, and its README with code that tests run.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ValetkeyError } from "../../clients/web/src/index.ts";
import { CODES } from "../support/codes.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const KOTLIN = join(ROOT, "clients/kotlin");
const read = (path) => readFileSync(join(KOTLIN, path), "utf8");
const main = (name) => read(`src/main/kotlin/valetkey/${name}.kt`);
const { schemas } = JSON.parse(readFileSync(join(ROOT, "docs/openapi.json"), "utf8")).components;

const codes = [...main("ValetkeyException").matchAll(/^ {4}([A-Z_]+)\("(\w+)", Advice\.(\w+)\)[,;]$/gm)];

test("its codes are those of the API, of predictions and of the clients themselves", () => {
  assert.deepEqual(codes.map(([, , wire]) => wire).sort(), CODES);
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
  const { Prediction, File, Account } = schemas;
  const { queue, error, metrics } = Prediction.properties;
  const parts = [Prediction, queue, error.oneOf?.find(({ properties }) => properties) ?? error, metrics, File, Account, Account.properties.usage, Account.properties.limits];
  for (const [, kind, name] of main("Prediction").matchAll(/\b(text|texts|number|required|optional|optionalText|optionalNumber|flag)\("(\w+)"\)/g)) {
    const holders = parts.filter(({ properties = {} }) => name in properties);
    assert.ok(holders.length > 0, name);
    if (/^(text|texts|number|required)$/.test(kind)) assert.ok(holders.some(({ required = [] }) => required.includes(name)), `${name} may be absent`);
  }
});

test("README shows the recipes that the tests run", () => {
  const [, recipes] = /all that it takes:\n\n```kotlin\n([^]+?)```/.exec(read("README.md"));
  assert.ok(read("src/test/kotlin/valetkey/RecipesTest.kt").includes(recipes));
});

test("README says what no test runs", () => {
  assert.match(read("README.md"), /\*\*Not run by this project's tests: Android, and the Gradle build\.\*\*/);
});

test("Gradle uses the same compiler version as the tests", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.ok(read("build.gradle.kts").includes(`kotlin("jvm") version "${devDependencies["kotlin-compiler"]}"`));
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

test("the library imports only what Android 5, Java 8 and Kotlin's standard library provide", () => {
  const known = /^(java\.(io|math|net|security)\.|java\.nio\.(ByteBuffer$|charset\.)|java\.util\.concurrent\.(?!CompletableFuture)|kotlin\.)/;
  for (const file of readdirSync(join(KOTLIN, "src/main/kotlin/valetkey"))) {
    for (const [, path] of main(file.replace(/\.kt$/, "")).matchAll(/^import (\S+)/gm)) assert.match(path, known, file);
  }
});

test("its regular expressions avoid \\w, \\d and \\b, which match Unicode on Android", () => {
  for (const file of readdirSync(join(KOTLIN, "src/main/kotlin/valetkey"))) assert.doesNotMatch(main(file.replace(/\.kt$/, "")), /\\\\[wdb]/i, file);
});
