// Checks what the app passes to the client, before anything is sent. The types say the same, but not to JavaScript, and
// not about numbers, text and what JSON can express.
import { ValetkeyError } from "./errors.ts";

/** The kinds of values that JSON can express, and `Undefined`, which it leaves out. Finite numbers are the only others. */
const JSON_KINDS = /^(Object|Array|String|Boolean|Null|Undefined)$/;

/**
 * Throws unless `isValid`. The message names the kind of `value`, and quotes it only if `isQuoted`: an argument in the
 * wrong place may be a token or a prompt.
 */
export function check(isValid: boolean, param: string, allowed: string, value: unknown, isQuoted = false): void {
  if (!isValid) throw invalid(param, allowed, typeof value === "number" ? value : isQuoted ? `"${value}"` : kindOf(value));
}

/** Throws unless `typeof value` is `type`. An optional argument is passed with a default of that type. */
export function checkType(param: string, type: "function" | "string", value: unknown): void {
  check(typeof value === type, param, `a ${type}`, value);
}

/** Throws if an option is not a function. */
export function checkFunction(param: string, value: unknown): void {
  checkType(param, "function", value ?? check);
}

/** Throws unless `value` is a number of at least `min`. `NaN` is none. */
export function checkNumber(param: string, value: unknown, min: number): void {
  check(typeof value === "number" && value >= min, param, `a number of at least ${min}`, value);
}

/** Throws unless `value` is an object without a class of its own, unlike an event, an array or a `Map`. */
export function checkObject(param: string, value: unknown): void {
  check(kindOf(value) === "Object", param, "a plain object", value);
}

/**
 * Returns an id as a segment of a URL's path. Throws where the path would lead to another route, or cannot be written
 * (`encodeURIComponent` rejects unpaired surrogates).
 */
export function segment(param: string, id: string): string {
  checkType(param, "string", id);
  check(!/^\.*$|[\ud800-\udfff]/u.test(id), param, "an id", id, true);
  return encodeURIComponent(id);
}

/**
 * Returns the JSON of a request's body. Throws an error that names the member that JSON cannot express, or that
 * `JSON.stringify` would leave out or change without a word, such as a function, a `Map` or `NaN`.
 */
export function jsonOf(body: object): string {
  const paths = new Map<unknown, string>();
  let at = "";
  try {
    const text = JSON.stringify(body, function (this: unknown, name: string, value: unknown) {
      const parent = paths.get(this);
      at = Array.isArray(this) ? `${parent}[${name}]` : parent ? `${parent}.${name}` : name;
      paths.set(value, at);
      check(Number.isFinite(value) || JSON_KINDS.test(kindOf(value)), at, "JSON", value);
      return value;
    });
    // Text that was cut inside a character ends in half of a surrogate pair, which UTF-8 cannot express and the API
    // refuses. `JSON.stringify` writes such a half as an escape.
    return text.replace(/\\(ud...|.)/g, (escape) => (escape.length > 2 ? "\ufffd" : escape));
  } catch (cause) {
    throw cause instanceof ValetkeyError ? cause : invalid(at, "JSON", "circular or nested too deeply", cause);
  }
}

export function invalid(param: string, allowed: string, found: unknown, cause?: unknown): ValetkeyError {
  return new ValetkeyError("invalid_parameter", `\`${param}\` must be ${allowed}, not ${found}.`, { param }, cause);
}

/** Returns true for a `Blob` and a `File`, also one of another window. */
export function isBlob(value: unknown): value is Blob {
  return /^(Blob|File)$/.test(kindOf(value));
}

/** Returns the kind of a value, such as `BigInt` or `PointerEvent`. */
function kindOf(value: unknown): string {
  return ({}).toString.call(value).slice(8, -1);
}
