// Finds the vendor key, or a piece of it, in text and bytes. Pure.
//
// A piece is 16 consecutive characters. Shorter ones reveal nothing useful and would be found by chance.

export const PIECE_LENGTH = 16;

/** Returns every run of 16 characters of the key, including those of the tail after `sk_live_`. */
function pieces(key) {
  return Array.from({ length: key.length - PIECE_LENGTH + 1 }, (_, start) => key.slice(start, start + PIECE_LENGTH));
}

/** Returns the base64 of `piece` at one of three alignments, without characters that also encode a neighbor's bits. */
function base64Core(piece, alignment) {
  const encoded = Buffer.from(".".repeat(alignment) + piece, "latin1").toString("base64url");
  const bits = (alignment + piece.length) * 8;
  return encoded.slice(Math.ceil((alignment * 8) / 6), Math.floor(bits / 6));
}

/** Returns what the scan searches for: `[name, needle, view]`. A view is one of the decodings that `views` returns. */
function needles(key) {
  return pieces(key).flatMap((piece) => [
    ["plain", piece, "plain"],
    ["percent-encoded or escaped", piece, "unescaped"],
    ["reversed", [...piece].reverse().join(""), "plain"],
    ["hex", Buffer.from(piece, "latin1").toString("hex"), "lower"],
    ...[0, 1, 2].map((alignment) => [`base64, alignment ${alignment}`, base64Core(piece, alignment), "base64"]),
  ]);
}

function unescape(text) {
  return text
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\\u00([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})/g, (_, u, x) => String.fromCharCode(Number.parseInt(u ?? x, 16)))
    .replace(/&#(\d{1,3});/g, (_, decimal) => String.fromCharCode(Number(decimal)))
    .replace(/&#x([0-9a-fA-F]{1,2});/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function views(content) {
  // Decode as Latin-1, one character for each byte, so that pictures are searched like text. Remove NULs, so that UTF-16 is
  // searched too.
  const plain = (Buffer.isBuffer(content) ? content.toString("latin1") : content).replaceAll("\0", "");
  const base64 = plain.replaceAll("+", "-").replaceAll("/", "_").replace(/\s+/g, "");
  return { plain, unescaped: unescape(plain), lower: plain.toLowerCase(), base64 };
}

/**
 * Searches records `{what, content}`, where `content` is a string or a Buffer.
 * Returns findings `{what, how}`, which never contain the key itself.
 */
export function scan(key, records) {
  const wanted = needles(key);
  return records.flatMap(({ what, content }) => {
    const seen = views(content);
    const how = new Set(wanted.filter(([, needle, view]) => seen[view].includes(needle)).map(([name]) => name));
    return [...how].map((name) => ({ what, how: name }));
  });
}
