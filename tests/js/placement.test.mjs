// Tests where objects are placed, against stubs of Cloudflare's network and of workerd outside of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasJurisdictions, placeObjects } from "../../src/cloudflare/runtime/placement.js";

/** A namespace of Cloudflare's network. A stub says which object was asked for. */
function networkNamespace(jurisdiction) {
  return {
    jurisdiction: (word) => networkNamespace(word),
    getByName: (name, options) => ({ jurisdiction, name, location: options?.locationHint }),
  };
}

/** A namespace whose `jurisdiction` throws. */
function throwingNamespace(message) {
  return {
    jurisdiction: () => {
      throw new Error(message);
    },
    getByName: (name, options) => ({ name, location: options?.locationHint }),
  };
}

/** What workerd throws; tests/api/places.rs has it from workerd itself. */
const NOT_IMPLEMENTED = "Jurisdiction restrictions are not implemented in workerd.";

test("objects are taken from the jurisdiction, and near the location", () => {
  const at = (jurisdiction, location) => placeObjects(networkNamespace(), jurisdiction, location).getByName("main");
  assert.deepEqual(at("eu", "weur"), { jurisdiction: "eu", name: "main", location: "weur" });
  assert.deepEqual(at("fedramp", undefined), { jurisdiction: "fedramp", name: "main", location: undefined });
  assert.deepEqual(at(undefined, "apac"), { jurisdiction: undefined, name: "main", location: "apac" });
  assert.deepEqual(at(undefined, undefined), { jurisdiction: undefined, name: "main", location: undefined });
});

test("workerd has no jurisdictions, so the setting is ignored, and the location is still passed", () => {
  const namespace = throwingNamespace(NOT_IMPLEMENTED);
  assert.equal(hasJurisdictions(namespace, "eu"), false);
  assert.deepEqual(placeObjects(namespace, "eu", "weur").getByName("main"), { name: "main", location: "weur" });
});

test("any other failure is thrown: data never lands outside of the jurisdiction", () => {
  const namespace = throwingNamespace("Invalid jurisdiction");
  assert.throws(() => placeObjects(namespace, "eu", "weur"), /Invalid jurisdiction/);
  assert.throws(() => hasJurisdictions(namespace, "eu"), /Invalid jurisdiction/);
});

test("without the setting no jurisdiction is asked for", () => {
  const namespace = throwingNamespace("never called");
  assert.equal(hasJurisdictions(namespace, undefined), false);
  assert.equal(placeObjects(namespace, undefined, undefined), namespace);
});
