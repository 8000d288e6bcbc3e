// Empties functions of a wasm module that nothing can call, or whose work nobody can see, so that wasm-opt drops them
// and what they alone refer to (docs/decisions/0009-lean-shim.md). std comes compiled, and wasm-bindgen exports every
// class of the `worker` crate: no setting of cargo leaves these out.

const SECTION = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 };
const UNREACHABLE = Uint8Array.of(0, 0x00, 0x0b);
const NOTHING = Uint8Array.of(0, 0x0b);

/** Reads numbers, names and bytes from the start of a part of the module. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte() {
    return this.bytes[this.at++];
  }
  number() {
    let [value, factor, byte] = [0, 1, 0x80];
    for (; byte & 0x80; factor *= 128) {
      byte = this.byte();
      value += (byte & 0x7f) * factor;
    }
    return value;
  }
  take() {
    const length = this.number();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  name() {
    return new TextDecoder().decode(this.take());
  }
}

function encode(number) {
  const bytes = [];
  for (; number > 0x7f; number = Math.floor(number / 128)) bytes.push((number % 128) | 0x80);
  return Uint8Array.of(...bytes, number);
}

function concat(parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The module without the bodies of some functions.
 *
 * `trap` and `skip` are lists of [kind, pattern], where kind is "name" or "export". A function of `trap` becomes an
 * `unreachable`; one of `skip`, which must return nothing, does nothing. Fails where a pattern finds no function.
 */
export function snip(module, { trap, skip }) {
  const sections = [];
  const reader = new Reader(module, 8);
  while (reader.at < module.length) sections.push({ id: reader.byte(), content: reader.take() });
  const find = (id) => new Reader(sections.find((section) => section.id === id).content);

  const names = new Map();
  for (const { content } of sections.filter(({ id }) => id === SECTION.custom)) {
    const custom = new Reader(content);
    if (custom.name() !== "name") continue;
    while (custom.at < content.length) {
      const kind = custom.byte();
      const part = new Reader(custom.take());
      for (let left = kind === 1 ? part.number() : 0; left > 0; left -= 1) names.set(part.number(), part.name());
    }
  }
  const exported = new Map();
  const exports = find(SECTION.export);
  for (let left = exports.number(); left > 0; left -= 1) {
    const [name, kind, index] = [exports.name(), exports.byte(), exports.number()];
    if (kind === 0) exported.set(index, name);
  }
  const code = find(SECTION.code);
  const bodies = Array.from({ length: code.number() }, () => code.take());
  // Every function has a name, imported ones first: wasm-opt of worker-build wrote them.
  const imported = Math.max(...names.keys()) + 1 - bodies.length;

  for (const [body, patterns] of [[UNREACHABLE, trap], [NOTHING, skip]]) {
    for (const [kind, pattern] of patterns) {
      const found = [...(kind === "export" ? exported : names)].filter(([index, name]) => index >= imported && pattern.test(name));
      if (found.length === 0) throw new Error(`no function ${pattern} in the module`);
      for (const [index] of found) bodies[index - imported] = body;
    }
  }
  const parts = [encode(bodies.length), ...bodies.flatMap((body) => [encode(body.length), body])];
  sections.find(({ id }) => id === SECTION.code).content = concat(parts);
  return concat([module.subarray(0, 8), ...sections.flatMap(({ id, content }) => [Uint8Array.of(id), encode(content.length), content])]);
}
