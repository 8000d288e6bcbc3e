// The progress that the tool shows while it waits.

/** A line that changes while something takes long. Without a terminal, each new text is a line of its own. */
export class Progress {
  readonly #startedAt = performance.now();
  readonly #isLive = process.stderr.isTTY;
  #text: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(text: string) {
    this.#text = text;
    this.#show();
    if (this.#isLive) this.#timer = setInterval(() => this.#show(), 1_000);
  }

  /** Replaces the text. */
  update(text: string): void {
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
