// `make test-kotlin`: compiles clients/kotlin with the Kotlin compiler from npm on the machine's Java, runs its unit
// tests, and then tests the client against the built Worker. Needs no Gradle.
//
//   JAVA   the command; default: java
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const JARS = join(ROOT, "node_modules/kotlin-compiler/lib");
const OUT = join(ROOT, "target/kotlin");
const JAVA = process.env.JAVA || "java";
const LIBRARY = join(OUT, "library");
const TESTS = join(OUT, "tests");

const path = (...parts) => parts.join(delimiter);
const jars = (...names) => path(...names.map((name) => join(JARS, `${name}.jar`)));
const COMPILER = jars("kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect", "kotlinx-coroutines-core-jvm", "annotations-13.0");
/** The versions in clients/kotlin/build.gradle.kts, which let apps with an older compiler read the library. */
const LANGUAGE = ["-language-version", "2.2", "-api-version", "2.2"];
/** `CoroutineValetkey` needs coroutines, of the version that the compiler has. All else needs the standard library only. */
const LIBRARY_NEEDS = jars("kotlin-stdlib", "kotlinx-coroutines-core-jvm");
const TESTS_NEED = path(LIBRARY, LIBRARY_NEEDS, jars("kotlin-test"));
const CLASSES = path(TESTS, TESTS_NEED);

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", env: { ...process.env, ...env } });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function compile(...args) {
  run(JAVA, ["-cp", COMPILER, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-Werror", ...LANGUAGE, ...args]);
}

const java = spawnSync(JAVA, ["-XshowSettings:properties", "-version"], { encoding: "utf8" });
if (java.status !== 0) {
  console.log("skipped: no Java (set JAVA)");
  if (process.env.CI === "true") {
    console.log("CI must not skip: this counts as a failure");
    process.exit(1);
  }
  process.exit(0);
}
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const [, home = ""] = /java\.home = (.+)/.exec(java.stderr) ?? [];
// A JDK knows Java 8's class library (`ct.sym`), so newer APIs are errors. A bare Java runtime does not know it.
const release = existsSync(join(home, "lib/ct.sym")) ? ["-Xjdk-release=1.8"] : ["-jvm-target", "1.8"];
compile(...release, "-Xexplicit-api=strict", "-cp", LIBRARY_NEEDS, "-d", LIBRARY, join(ROOT, "clients/kotlin/src/main/kotlin"));
// The tests may use internal declarations. tests/kotlin/Test.kt declares `kotlin.test.Test`.
compile("-jvm-target", "1.8", `-Xfriend-paths=${LIBRARY}`, "-Xallow-kotlin-package", "-cp", TESTS_NEED, "-d", TESTS, join(ROOT, "clients/kotlin/src/test/kotlin"), join(ROOT, "tests/kotlin"));
run(JAVA, ["-cp", CLASSES, "valetkey.runner.RunnerKt", TESTS]);
run(process.execPath, ["--test", join(ROOT, "tests/kotlin/live.test.mjs")], { JAVA, KOTLIN_CLASSES: CLASSES });
