// `make sbom`: writes dist/valetkey.cdx.json, a list of everything that is shipped, in CycloneDX 1.6 (ECMA-424). Without a time and a
// random number, so the same commit gives the same bytes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expressionOf, ROOT, shipped } from "./shipped.mjs";

/** Returns the package URL (ECMA-427), by which databases of vulnerabilities find a package. */
function purlOf({ kind, name, version }) {
  return `pkg:${kind}/${name.split("/").map(encodeURIComponent).join("/")}@${encodeURIComponent(version)}`;
}

function hashesOf({ checksum, integrity }) {
  if (checksum !== undefined) return [{ alg: "SHA-256", content: checksum }];
  const [, base64] = /^sha512-(.+)$/.exec(integrity ?? "") ?? [];
  return base64 === undefined ? undefined : [{ alg: "SHA-512", content: Buffer.from(base64, "base64").toString("hex") }];
}

function componentOf(one) {
  const purl = purlOf(one);
  return { type: "library", "bom-ref": purl, name: one.name, version: one.version, hashes: hashesOf(one), licenses: [{ expression: expressionOf(one) }], purl };
}

/** Returns the document. */
export async function sbom() {
  const all = await shipped();
  const [own, others] = [all.filter(({ isOwn }) => isOwn), all.filter(({ isOwn }) => !isOwn)];
  const { version } = JSON.parse(readFileSync(join(ROOT, "cli/package.json"), "utf8"));
  const root = { name: "create-valetkey", version, kind: "npm", license: "Apache-2.0" };
  const refs = new Map(all.map((one) => [one.key, purlOf(one)]));
  // The package itself needs all that nothing else needs: the bundles' packages, and the standard library.
  const needed = new Set(all.flatMap(({ needs }) => [...needs]));
  const direct = [...own.flatMap(({ needs }) => [...needs]), ...others.map(({ key }) => key).filter((key) => !needed.has(key))];
  const refsOf = (keys) => [...new Set(keys)].filter((key) => !own.some((one) => one.key === key)).map((key) => refs.get(key)).sort();
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...componentOf(root), type: "application" } },
    components: others.map(componentOf),
    dependencies: [
      { ref: purlOf(root), dependsOn: refsOf(direct) },
      ...others.map((one) => ({ ref: purlOf(one), dependsOn: refsOf([...one.needs]) })),
    ],
  };
}

if (import.meta.main) {
  const path = join(ROOT, "dist/valetkey.cdx.json");
  const document = await sbom();
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  writeFileSync(path, `${JSON.stringify(document, undefined, 2)}\n`);
  console.log(`sbom: ${document.components.length} components in dist/valetkey.cdx.json`);
}
