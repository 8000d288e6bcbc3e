// What this browser remembers from visit to visit: a name for the person, and what they asked for. No token, ever.

const SUBJECT_KEY = "valetkey-demo-subject";
const SUBJECT = /^demo-[0-9a-f]{16}$/;
const ORDERS_KEY = "valetkey-demo-orders";
/** As many as a person looks back at; a description has at most 4,000 characters and a browser keeps 5 MB. */
const MAX_ORDERS = 100;

/** What was asked for: the API tells what became of it, not what it was. */
export interface Order {
  prompt: string;
  aspectRatio: string;
}

/** Storage can be switched off, or full; then a reload is somebody new. */
export class Person {
  readonly #storage: () => Storage;
  #subject: string | undefined;

  constructor(storage: () => Storage) {
    this.#storage = storage;
  }

  /** Whether there may be pictures of theirs. */
  get isKnown(): boolean {
    return this.#known() !== undefined;
  }

  /**
   * The name under which this page asks for tokens: random, the same in every tab, and no secret. A real app has no such
   * thing: its backend knows who signed in.
   */
  subject(): string {
    const subject = this.#known() ?? `demo-${randomHex(8)}`;
    if (this.#subject === undefined) this.#write(SUBJECT_KEY, subject);
    this.#subject = subject;
    return subject;
  }

  /** Another tab may have been first. */
  #known(): string | undefined {
    const stored = this.#read(SUBJECT_KEY);
    return this.#subject ?? (stored !== null && SUBJECT.test(stored) ? stored : undefined);
  }

  order(jobId: string): Order | undefined {
    return this.#orders().find(([id]) => id === jobId)?.[1];
  }

  remember(jobId: string, order: Order): void {
    const others = this.#orders().filter(([id]) => id !== jobId);
    this.#write(ORDERS_KEY, JSON.stringify([[jobId, order], ...others].slice(0, MAX_ORDERS)));
  }

  forget(jobId: string): void {
    this.#write(ORDERS_KEY, JSON.stringify(this.#orders().filter(([id]) => id !== jobId)));
  }

  #orders(): [string, Order][] {
    try {
      const orders: unknown = JSON.parse(this.#read(ORDERS_KEY) ?? "[]");
      return Array.isArray(orders) ? orders.filter(isEntry) : [];
    } catch {
      return [];
    }
  }

  #read(key: string): string | null {
    try {
      return this.#storage().getItem(key);
    } catch {
      return null;
    }
  }

  #write(key: string, text: string): void {
    try {
      this.#storage().setItem(key, text);
    } catch {
      // The page works without.
    }
  }
}

function isEntry(entry: unknown): entry is [string, Order] {
  if (!Array.isArray(entry)) return false;
  const [jobId, order]: unknown[] = entry;
  return typeof jobId === "string" && typeof order === "object" && order !== null &&
    "prompt" in order && typeof order.prompt === "string" && "aspectRatio" in order && typeof order.aspectRatio === "string";
}

/** Not `randomUUID`: a phone that opens a development server by its address lacks it. */
export function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
