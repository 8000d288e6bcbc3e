// Where Durable Objects are: their jurisdiction, and near where the platform creates them.

/** The message of workerd outside of Cloudflare's network, such as in `wrangler dev`. */
const NOT_IMPLEMENTED = "Jurisdiction restrictions are not implemented in workerd.";

/**
 * Returns the namespace whose objects are in `jurisdiction`, and are created near `location`. Both may be undefined.
 *
 * A runtime without jurisdictions gets the namespace itself (`hasJurisdictions`). Any other failure is thrown: data never
 * lands outside of the jurisdiction because of an error.
 */
export function placeObjects(namespace, jurisdiction, location) {
  const placed = hasJurisdictions(namespace, jurisdiction) ? namespace.jurisdiction(jurisdiction) : namespace;
  if (location === undefined) return placed;
  return { getByName: (name) => placed.getByName(name, { locationHint: location }) };
}

/** Returns whether the runtime has jurisdictions. False if `jurisdiction` is undefined, since then none is needed. */
export function hasJurisdictions(namespace, jurisdiction) {
  if (jurisdiction === undefined) return false;
  try {
    namespace.jurisdiction(jurisdiction);
    return true;
  } catch (error) {
    if (error?.message !== NOT_IMPLEMENTED) throw error;
    return false;
  }
}
