// The data that this browser stores across visits: a random user name, and the inputs of recent pictures. Tokens are
// never stored.

const SUBJECT_KEY = "valetkey-demo-subject";
const SUBJECT = /^demo-[0-9a-f]{16}$/;
const ORDERS_KEY = "valetkey-demo-orders";
/** Number of inputs to keep. A prompt has at most 4,000 characters, and browsers store about 5 MB for an origin. */
const MAX_ORDERS = 100;

/** The input of a picture. It is stored here because the API does not return a prediction's input. */
export interface Order {
  prompt: string;
  /** Empty if the model has no such input. */
  aspectRatio: string;
}

/** The user of this browser. If storage is disabled or full, a reload of the page starts with a new user. */
export class Person {
  readonly #storage: () => Storage;
  #subject: string | undefined;

  constructor(storage: () => Storage) {
    this.#storage = storage;
  }

  /** True if the user may have pictures: this browser has stored a name before. */
  get isKnown(): boolean {
    return this.#known() !== undefined;
  }

  /**
   * Returns the user name for which this page requests tokens. It is random, the same in every tab, and not a secret. A
   * real app does not send a name: its backend takes the user from the signed-in session.
   */
  subject(): string {
    const subject = this.#known() ?? `demo-${randomHex(8)}`;
    if (this.#subject === undefined) this.#write(SUBJECT_KEY, subject);
    this.#subject = subject;
    return subject;
  }

  /**
   * Returns the name, if there is one. Reads the storage each time, because another tab may have stored a name first.
   */
  #known(): string | undefined {
    const stored = this.#read(SUBJECT_KEY);
    return this.#subject ?? (stored !== null && SUBJECT.test(stored) ? stored : undefined);
  }

  /** Returns the stored input of a picture. */
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
      // The page works without storage.
    }
  }
}

function isEntry(entry: unknown): entry is [string, Order] {
  if (!Array.isArray(entry)) return false;
  const [jobId, order]: unknown[] = entry;
  return typeof jobId === "string" && typeof order === "object" && order !== null &&
    "prompt" in order && typeof order.prompt === "string" && "aspectRatio" in order && typeof order.aspectRatio === "string";
}

/**
 * Returns random bytes in hex. Not `randomUUID`: it needs a secure context, which a phone does not have when it opens a
 * development server by its IP address.
 */
export function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
