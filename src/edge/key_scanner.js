// Finds the vendor's key in a stream of bytes, whatever the borders of its chunks, before any byte of it has gone on.
// Looks at the bytes as they are and with JSON's escapes undone. Used by platform.js and by its own test.

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))/g;
// Only after an even number of backslashes: the second of a pair starts nothing.
const PARTIAL_ESCAPE = /(?<=(?<!\\)(?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$/;

const unescape = (text) => text.replace(ESCAPE, (_, hex, plain) => (hex === undefined ? (plain === "/" ? "/" : " ") : String.fromCharCode(parseInt(hex, 16))));

/** How many characters at the end of `text` might be the start of a needle that the next chunk completes. */
function heldBack(text, needles, longest) {
  for (let length = Math.min(longest - 1, text.length); length > 0; length -= 1) {
    const end = text.slice(text.length - length);
    if (needles.some((needle) => needle.startsWith(end))) return length;
  }
  return 0;
}

/** The last place up to `at` that is not inside an escape: only what is cut there is read the same way as the whole. */
function outsideEscapes(text, at) {
  for (const { 0: escape, index } of text.matchAll(ESCAPE)) {
    if (index >= at) break;
    if (index + escape.length > at) return index;
  }
  return at;
}

/**
 * `push(bytes)` gives the bytes that may go on now, `end()` those that were held back; both give `undefined` once the
 * key was found, and then nothing may go on.
 */
export function keyScanner(needles) {
  const longest = Math.max(0, ...needles.map((needle) => needle.length));
  const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const holds = (text) => needles.some((needle) => text.includes(needle));
  let held = "";
  return {
    push(bytes) {
      // One character for each byte, so that nothing is decoded or lost.
      let text = held;
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      const partial = PARTIAL_ESCAPE.exec(text)?.[0].length ?? 0;
      const whole = text.slice(0, text.length - partial);
      const plain = unescape(whole);
      if (holds(whole) || holds(plain)) {
        held = "";
        return undefined;
      }
      // In the escaped form a character takes at most six bytes: cutting back that many for each is always enough.
      const raw = heldBack(whole, needles, longest);
      const escaped = heldBack(plain, needles, longest);
      const back = whole === plain ? raw : Math.max(raw, escaped * 6);
      const cut = outsideEscapes(whole, Math.max(0, whole.length - back));
      held = text.slice(cut);
      return bytesOf(text.slice(0, cut));
    },
    end() {
      const rest = held;
      held = "";
      return holds(rest) || holds(unescape(rest)) ? undefined : bytesOf(rest);
    },
  };
}
