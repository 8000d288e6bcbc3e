// A stand-in's picture: it says that it is one, and shows the prompt.

const COLORS = ["#31586b", "#6b4331", "#3d6b31", "#5b316b", "#6b6431", "#316b5e"];
/** Characters of the prompt in a line, and lines of it. */
const LINE = 34;
const LINES = 4;

/** Returns an SVG for a prompt. The same prompt looks the same. */
export function pictureOf(prompt: string, index: number): string {
  const sum = [...prompt].reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 9_973, index);
  const color = COLORS[sum % COLORS.length];
  const lines = wrap(prompt).map((line, number) => `<tspan x="256" dy="${number === 0 ? 0 : 30}">${escape(line)}</tspan>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512" viewBox="0 0 512 512" font-family="sans-serif" text-anchor="middle" fill="#fff">
<rect width="512" height="512" fill="${color}"/>
<circle cx="${96 + (sum % 320)}" cy="${96 + (sum % 90)}" r="56" fill="#fff" opacity=".18"/>
<path d="M0 ${330 + (sum % 40)} Q128 ${250 + (sum % 60)} 256 ${330 - (sum % 50)} T512 ${310 + (sum % 30)} V512 H0 Z" fill="#000" opacity=".22"/>
<text x="256" y="92" font-size="44" font-weight="bold">stand-in</text>
<text x="256" y="126" font-size="18">no model made this picture</text>
<text x="256" y="250" font-size="22">${lines.join("")}</text>
</svg>
`;
}

function wrap(prompt: string): string[] {
  const lines: string[] = [""];
  for (const word of prompt.trim().split(/\s+/)) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && line.length + word.length >= LINE) lines.push("");
    const last = lines.length - 1;
    lines[last] = `${lines[last] ?? ""} ${word}`.trim().slice(0, LINE);
  }
  return lines.length <= LINES ? lines : [...lines.slice(0, LINES - 1), "…"];
}

/** Escapes text for XML, and leaves out what XML cannot have. */
function escape(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
  return text.replaceAll(/[\u0000-\u001f\ufffe\uffff]/g, "").replaceAll(/[&<>"']/g, (character) => names[character] ?? "");
}
