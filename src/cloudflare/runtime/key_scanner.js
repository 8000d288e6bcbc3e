// Finds the vendor's key in a stream of bytes, whatever the borders of its chunks, before any byte of it has gone on.
// Looks at the bytes as they are, with JSON's escapes undone, and with percent-encoding undone in either. The same search
// as src/upstream/key_scan.rs, which says how and why. Used by platform.js and by its own tests.

const GRAM = 8;

const FOLDS = {
  exact: (text) => text,
  hex: (text) => text.toLowerCase(),
  base64: (text) => text.replaceAll("+", "-").replaceAll("/", "_"),
};
const foldAll = (text) => FOLDS.base64(FOLDS.hex(text));

/** How many characters around `place` of `text` are those around `at` of `form`. */
function runLength(text, place, form, at) {
  let left = 0;
  while (left < Math.min(place, at) && text[place - left - 1] === form[at - left - 1]) left += 1;
  let right = 0;
  while (right < Math.min(text.length - place, form.length - at) && text[place + right] === form[at + right]) right += 1;
  return left + right;
}

/** Where the grams of all forms are, and how far apart a text is looked at: every long enough run covers such a place. */
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

/** How many characters at the end of `text` the next chunk might make a run of `form` with. */
function heldBack(text, form) {
  const end = form.fold(text.slice(1 - form.least));
  // Most chunks end with a line.
  if (!form.text.includes(end.slice(-1))) return 0;
  for (let length = end.length; length > 0; length -= 1) {
    if (form.text.includes(end.slice(end.length - length))) return length;
  }
  return 0;
}

// A view is what a text reads as: its characters, and where in the bytes each of them starts. `end` is where a character
// starts that is not complete yet: nothing behind it can be read.
const raw = (text) => ({ text, starts: undefined, end: text.length });
const startOf = (view, at) => (at >= view.text.length ? view.end : (view.starts?.[at] ?? at));

/** A view in which what `escape` matches is one character, and what `partial` matches at the end has to wait. */
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
  // From the last complete escape on, so that no part of that one is taken for a start.
  const end = partial(view.text, behind);
  take(behind, end);
  return { text, starts, end: startOf(view, end) };
}

// No key has a character above a byte, and lower case has to be as long as upper case.
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

/** What `text` reads as in each way; a way that would change nothing is left out. The last one has the longest escapes. */
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

/** The last place up to `at` at which a character of every view starts: only a text that is cut there reads the same. */
function between(views, at) {
  // An escape of percent signs is one in the text as well as in what JSON makes of it: the borders of the last view are
  // borders of all.
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
 * `push(bytes)` gives the bytes that may go on now, `end()` those that were held back; both give `undefined` once the
 * key was found, and then nothing may go on. `forms` is what `KeyScan::forms` says.
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
