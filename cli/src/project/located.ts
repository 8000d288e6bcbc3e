// Text with places: JSON with comments, and the line and column of a value in it.
import { findNodeAtLocation, getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";

/** A problem and where it is. Its text never holds a value: it may be a secret. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  text: string;
  /** A warning does not stop a deployment. */
  isWarning?: boolean;
}

/** Names and indices from the root of a document to a value in it. */
export type Path = (string | number)[];

/** What the parser's errors mean, by its names of them. */
const ERRORS: Record<string, string> = {
  PropertyNameExpected: "a member's name is expected here; a comma before } or ] is one too many",
  ValueExpected: "a value is expected here; a comma before } or ] is one too many",
  ColonExpected: "a colon is expected here",
  CommaExpected: "a comma is expected here",
  CloseBraceExpected: "a } is expected here",
  CloseBracketExpected: "a ] is expected here",
  EndOfFileExpected: "the document ends before this text",
  InvalidSymbol: "this is neither a text in quotes, a number, true, false nor null",
  InvalidNumberFormat: "this is not a number as JSON writes it",
  InvalidCommentToken: "a comment begins with // or /*",
  UnexpectedEndOfComment: "this comment has no */",
  UnexpectedEndOfString: "this text has no quote at its end",
  UnexpectedEndOfNumber: "this number has no end",
  InvalidUnicode: "\\u is followed by four hexadecimal digits",
  InvalidEscapeCharacter: "no such character follows a backslash; a backslash itself is \\\\",
  InvalidCharacter: "a tab or another control character in a text is written as an escape",
};

/** A file of JSON with comments. */
export class Document {
  readonly file: string;
  readonly problems: Problem[] = [];
  /** The root object. Empty if the text is not an object. */
  readonly values: Record<string, unknown>;
  readonly #text: string;
  readonly #tree: Node | undefined;

  constructor(file: string, content: string) {
    this.file = file;
    // Some editors begin a file with a byte order mark, which means nothing in UTF-8.
    this.#text = content.replace(/^\ufeff/, "");
    const isText = !/[\u0000\ufffd]/.test(this.#text);
    if (!isText) this.#add(0, "is not UTF-8 text: save it as UTF-8");
    const text = isText ? this.#text : "{}";
    const errors: ParseError[] = [];
    this.#tree = parseTree(text, errors, { disallowComments: false, allowTrailingComma: false });
    for (const { error, offset } of errors) {
      this.#add(offset, `is not acceptable JSON: ${ERRORS[printParseErrorCode(error)] ?? printParseErrorCode(error)}`);
    }
    if (errors.length === 0 && this.#tree?.type !== "object") this.#add(0, "is not an object: {…}");
    if (this.#tree !== undefined) this.#findRepeated(this.#tree);
    this.values = this.#tree?.type === "object" ? (getNodeValue(this.#tree) as Record<string, unknown>) : {};
  }

  /** Returns the problem that the value at `path` breaks a rule. Where there is no such value, its parent is the place. */
  problem(path: Path, text: string): Problem {
    return { file: this.file, ...this.#lineOf(this.#offsetOf(path)), text };
  }

  #add(offset: number, text: string): void {
    this.problems.push({ file: this.file, ...this.#lineOf(offset), text });
  }

  /** Two members of one name: the parser of JSON would keep the last without a word. */
  #findRepeated(node: Node): void {
    const seen = new Set<string>();
    for (const child of node.children ?? []) {
      const name = node.type === "object" ? (child.children?.[0]?.value as string | undefined) : undefined;
      if (name !== undefined && seen.has(name)) this.#add(child.offset, "repeats a member of its object: keep one of them");
      if (name !== undefined) seen.add(name);
      this.#findRepeated(child);
    }
  }

  #offsetOf(path: Path): number {
    for (let length = path.length; length > 0; length -= 1) {
      const node = this.#tree && findNodeAtLocation(this.#tree, path.slice(0, length));
      // A member begins with its name.
      if (node !== undefined) return node.parent?.type === "property" ? node.parent.offset : node.offset;
    }
    return this.#tree?.offset ?? 0;
  }

  #lineOf(offset: number): { line: number; column: number } {
    const before = this.#text.slice(0, offset).split("\n");
    return { line: before.length, column: [...(before.at(-1) ?? "")].length + 1 };
  }
}

/** Returns a problem as one line: `valetkey.jsonc:12:9: POLICY: …`. */
export function shown({ file, line, column, text, isWarning = false }: Problem): string {
  return `${file}:${line}:${column}: ${isWarning ? "warning: " : ""}${text}`;
}
