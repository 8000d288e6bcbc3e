// The progress that the tool shows while it waits.

/** Returns text without control characters other than the end of a line: a server's text must not steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}

/** A line that changes while something takes long. Without a terminal, each new text is a line of its own. */
export class Progress {
  readonly #startedAt = performance.now();
  readonly #isLive = process.stderr.isTTY;
  #text: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(text: string) {
    this.#text = printable(text);
    this.#show();
    if (this.#isLive) this.#timer = setInterval(() => this.#show(), 1_000);
  }

  /** Replaces the text. */
  update(update: string): void {
    const text = printable(update);
    if (text === this.#text) return;
    this.#text = text;
    this.#show();
  }

  /** Ends the line, with another text if there is one. */
  end(text = this.#text): void {
    clearInterval(this.#timer);
    if (this.#isLive) process.stderr.write(`\r\u001b[K${text} (${this.#seconds()} s)\n`);
    else if (text !== this.#text) console.error(text);
  }

  #show(): void {
    if (this.#isLive) process.stderr.write(`\r\u001b[K${this.#text} … ${this.#seconds()} s`);
    else console.error(`${this.#text} …`);
  }

  #seconds(): number {
    return Math.round((performance.now() - this.#startedAt) / 1_000);
  }
}

/** Shows a line while `work` runs. */
export async function whileShowing<T>(text: string, work: () => Promise<T>): Promise<T> {
  const progress = new Progress(text);
  try {
    return await work();
  } finally {
    progress.end();
  }
}
