// Lists the shipped parts that are not this repository's own code: the crates in the Worker's module and in the module that checks settings, the npm
// packages in the bundles, and Rust's standard library.
//
// cargo's own tree says which crates a build has, for the target and the features of that build. Macros and build scripts run at
// build time and are not in a module. esbuild says which packages a bundle has.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

export const ROOT = resolve(import.meta.dirname, "..");
const TARGET = "wasm32-unknown-unknown";

/** The packages of this repository whose modules are shipped. */
const MODULES = ["valetkey", "valetkey-check"];

/** The pages of site/: the script of each has its name. */
const PAGES = readdirSync(join(ROOT, "site")).map((name) => `site/${name}/src/${name}.ts`).filter((path) => existsSync(join(ROOT, path)));

/** The entries of all bundles, with what is not in them: modules of wasm, and their bindings, which are made from the crates. */
const BUNDLES = [
  { entryPoints: ["src/cloudflare/entry.js"], external: ["*.wasm", "valetkey-core"] },
  { entryPoints: PAGES },
  // As cli/build.mjs resolves packages.
  { entryPoints: ["cli/src/main.ts"], platform: "node", mainFields: ["module", "main"] },
];

const cargo = (...args) => execFileSync("cargo", args, { cwd: ROOT, encoding: "utf8", maxBuffer: 100_000_000, stdio: ["ignore", "pipe", "pipe"] });

/** Returns the crates: name, version, license, where its files are, its checksum, and the keys of what it depends on. */
function crates() {
  const metadata = JSON.parse(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET));
  const known = new Map(metadata.packages.map((one) => [keyOf(one), one]));
  const checksums = lockedChecksums();
  const found = new Map();
  for (const module of MODULES) {
    const tree = ["--package", module, "--target", TARGET, "--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe"];
    // The last package at each depth is the parent of the next one below.
    const parents = [];
    for (const line of cargo("tree", "--locked", ...tree, "--format", " {p}").split("\n").filter((text) => text !== "")) {
      const [, depth, name, version] = /^(\d+) (\S+) v(\S+)/.exec(line);
      const key = `${name}@${version}`;
      const { license, manifest_path: manifest, authors, source } = known.get(key);
      if (!found.has(key)) {
        const isOwn = source === null;
        found.set(key, { kind: "cargo", key, name, version, license, authors, folder: resolve(manifest, ".."), isOwn, checksum: checksums.get(key), needs: new Set() });
      }
      parents[Number(depth)] = key;
      if (Number(depth) > 0) found.get(parents[Number(depth) - 1]).needs.add(key);
    }
  }
  return [...found.values()];
}

function keyOf({ name, version }) {
  return `${name}@${version}`;
}

/** Returns the SHA-256 of each crate's archive, from Cargo.lock. */
function lockedChecksums() {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const entry = /name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "([0-9a-f]+)"/g;
  return new Map([...lock.matchAll(entry)].map(([, name, version, checksum]) => [`${name}@${version}`, checksum]));
}

/** Returns the npm packages of the bundles. */
async function packages() {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  const places = new Set();
  for (const options of BUNDLES) {
    const { metafile } = await build({
      ...options, bundle: true, write: false, metafile: true, format: "esm", outdir: "unused", absWorkingDir: ROOT, logLevel: "error",
    });
    for (const path of Object.keys(metafile.inputs)) {
      const place = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      if (place !== undefined) places.add(place);
    }
  }
  return [...places].map((place) => {
    const manifest = JSON.parse(readFileSync(join(ROOT, place, "package.json"), "utf8"));
    const { name, version, license, author } = manifest;
    const integrity = lock[place]?.integrity;
    const authors = [typeof author === "object" ? author.name : author].filter((one) => one !== undefined);
    return { kind: "npm", key: keyOf(manifest), name, version, license, authors, folder: join(ROOT, place), isOwn: false, integrity, needs: new Set() };
  });
}

/** Returns Rust's standard library, which is in each module. */
function standardLibrary() {
  const version = /^channel = "(.+)"/m.exec(readFileSync(join(ROOT, "rust-toolchain.toml"), "utf8"))[1];
  return {
    kind: "generic", key: `rust-std@${version}`, name: "rust-std", version, license: "MIT OR Apache-2.0", authors: ["The Rust Project Developers"], isOwn: false, needs: new Set(),
  };
}

/** Returns everything that is shipped, sorted. */
export async function shipped() {
  const all = [...crates(), ...(await packages()), standardLibrary()];
  for (const { folder } of all) if (folder !== undefined && !existsSync(folder)) throw new Error(`${folder} is missing: run \`cargo fetch\` or \`npm ci\``);
  // Not by `localeCompare`: that depends on the machine.
  return all.sort((one, other) => (one.kind + one.key < other.kind + other.key ? -1 : 1));
}

/** Returns a license as an SPDX expression. Older crates separate alternatives by `/`. */
export function expressionOf({ license }) {
  return license.replaceAll(/\s*\/\s*/g, " OR ");
}
