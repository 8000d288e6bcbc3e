// Finds the vendor key in a stream of bytes, across the borders of its chunks, and before any byte of the key is passed
// on. Searches the bytes as they are and with JSON's escapes decoded, and both also with percent-encoding decoded.
// src/vendor/key_scan.rs has the same search and explains it. Used by vendor_http.js and by its own tests.

const GRAM = 8;

const FOLDS = {
  exact: (text) => text,
  hex: (text) => text.toLowerCase(),
  base64: (text) => text.replaceAll("+", "-").replaceAll("/", "_"),
};
const foldAll = (text) => FOLDS.base64(FOLDS.hex(text));

/** Returns the length of the longest run around `place` in `text` that equals the run around `at` in `form`. */
function runLength(text, place, form, at) {
  let left = 0;
  while (left < Math.min(place, at) && text[place - left - 1] === form[at - left - 1]) left += 1;
  let right = 0;
  while (right < Math.min(text.length - place, form.length - at) && text[place + right] === form[at + right]) right += 1;
  return left + right;
}

/**
 * Returns the index of the scan: the positions of each gram in the forms, and the distance between two positions of a
 * text that are compared. Every run that counts as a leak contains such a position.
 */
function indexOf(forms) {
  const grams = new Map();
  for (const form of forms) {
    const folded = foldAll(form.text);
    for (let at = 0; at + GRAM <= folded.length; at += 1) {
      const gram = folded.slice(at, at + GRAM);
      if (!grams.has(gram)) grams.set(gram, []);
      grams.get(gram).push({ form, at });
    }
  }
  return { grams, step: Math.min(...forms.map(({ least }) => least)) - GRAM + 1 };
}

function holdsRun(text, { grams, step }) {
  const folded = foldAll(text);
  for (let place = 0; place + GRAM <= folded.length; place += step) {
    const isRun = ({ form, at }) => {
      const start = Math.max(0, place - at);
      const around = form.fold(text.slice(start, place + form.text.length - at));
      return runLength(around, place - start, form.text, at) >= form.least;
    };
    if (grams.get(folded.slice(place, place + GRAM))?.some(isRun)) return true;
  }
  return false;
}

/**
 * Returns the number of characters at the end of `text` that may be the start of a run of `form`, which the next chunk
 * continues.
 */
function heldBack(text, form) {
  const end = form.fold(text.slice(1 - form.least));
  // A fast path: most chunks end with a line break, which no form contains.
  if (!form.text.includes(end.slice(-1))) return 0;
  for (let length = end.length; length > 0; length -= 1) {
    if (form.text.includes(end.slice(end.length - length))) return length;
  }
  return 0;
}

// A view is one reading of a text: its characters, and `starts`, the position in the bytes at which each of them
// starts. `end` is the start of a character that is not complete yet. Nothing after it can be read.
const raw = (text) => ({ text, starts: undefined, end: text.length });
const startOf = (view, at) => (at >= view.text.length ? view.end : (view.starts?.[at] ?? at));

/**
 * Returns the view in which each match of `escape` is one character. An incomplete escape at the end, which `partial`
 * finds, is left for the next chunk.
 */
function decoded(view, escape, partial, character) {
  let text = "";
  const starts = [];
  const take = (from, to) => {
    text += view.text.slice(from, to);
    for (let at = from; at < to; at += 1) starts.push(startOf(view, at));
  };
  let behind = 0;
  for (const match of view.text.matchAll(escape)) {
    take(behind, match.index);
    text += character(match);
    starts.push(startOf(view, match.index));
    behind = match.index + match[0].length;
  }
  // Search only after the last complete escape, so that no part of it counts as the start of another one.
  const end = partial(view.text, behind);
  take(behind, end);
  return { text, starts, end: startOf(view, end) };
}

// Characters above U+00FF become spaces: no key contains them, and lower case must be as long as upper case.
const characterOf = (digits) => (parseInt(digits, 16) < 256 ? String.fromCharCode(parseInt(digits, 16)) : " ");
const JSON_ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))/g;
const PERCENT_ESCAPE = /%([0-9a-fA-F]{2})/g;
const startOfPartial = (pattern) => (text, from) => {
  const found = pattern.exec(text.slice(from));
  return found === null ? text.length : from + found.index;
};
const unescaped = (view) =>
  decoded(view, JSON_ESCAPE, startOfPartial(/\\(?:u[0-9a-fA-F]{0,3})?$/), ([, code, plain]) => (code === undefined ? (plain === "/" ? "/" : " ") : characterOf(code)));
const unpercent = (view) => decoded(view, PERCENT_ESCAPE, startOfPartial(/%[0-9a-fA-F]?$/), ([, code]) => characterOf(code));

/**
 * Returns every view of `text`: as it is, and decoded. A decoding that would change nothing is left out. The last view
 * has the longest escapes.
 */
function viewsOf(text) {
  const views = [raw(text)];
  if (text.includes("%")) views.push(unpercent(views[0]));
  if (text.includes("\\")) {
    const plain = unescaped(views[0]);
    views.push(plain);
    if (plain.text.includes("%")) views.push(unpercent(plain));
  }
  return views;
}

/**
 * Returns the last position up to `at` at which a character starts in every view. Only a text that is cut there still
 * has the same views.
 */
function between(views, at) {
  // A percent-encoding in the text is also one after JSON is decoded. So where a character of the last view starts, one
  // of every view starts.
  const { starts, end } = views.at(-1);
  if (starts === undefined || at >= end) return Math.min(at, end);
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : starts[low - 1];
}

/**
 * Returns a scanner for the `forms` that `KeyScan::forms` returns. `push(bytes)` returns the bytes that may be passed
 * on now, `end()` those that were held back. Both return `undefined` once the key is found. Then nothing more may be
 * passed on.
 */
export function keyScanner(forms) {
  const wanted = forms.map(([text, least, alphabet]) => ({ text, least, fold: FOLDS[alphabet] }));
  const index = indexOf(wanted);
  const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const holds = (views) => views.some(({ text }) => holdsRun(text, index));
  let held = "";
  return {
    push(bytes) {
      // One character for each byte, so that nothing is decoded or lost.
      let text = held;
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      const views = viewsOf(text);
      if (holds(views)) {
        held = "";
        return undefined;
      }
      const safeEnd = (view) => {
        const back = Math.max(0, ...wanted.map((form) => heldBack(view.text, form)));
        return startOf(view, view.text.length - back);
      };
      const cut = between(views, Math.min(...views.map(safeEnd)));
      held = text.slice(cut);
      return bytesOf(text.slice(0, cut));
    },
    end() {
      const rest = held;
      held = "";
      return holds(viewsOf(rest)) ? undefined : bytesOf(rest);
    },
  };
}
