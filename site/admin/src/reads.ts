// Reads that the page makes less often than that of the state: spend, refusals, and the users of today.
import type { Api } from "./api.ts";
import type { DaySpend, Page, Refusal, UserSpend } from "./shapes.ts";
import { lastDays } from "./text.ts";

/** Pages of users that are read. The API sorts users by their key, so the top of them is known only after all. */
const USER_PAGES = 5;
const PAGE_SIZE = 1_000;

/**
 * The spend of each of the last days. A prediction is booked on the day of its create, so the days before yesterday do not change any
 * more: they are read once a day. Each read of a day costs the Dispatcher a row for each user, model and plan.
 */
export class SpendReader {
  readonly #api: Api;
  #days = new Map<string, DaySpend>();
  /** The day on which all days were read. */
  #readOn: string | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Returns the days up to `today`, so many of them. */
  async read(today: string, count: number): Promise<DaySpend[]> {
    const isKnown = this.#readOn === today;
    const [from = today] = lastDays(today, isKnown ? 2 : count);
    const { data } = await this.#api.get<Page<DaySpend>>(`spend?by=day&from=${from}&to=${today}`);
    if (!isKnown) this.#days.clear();
    for (const row of data) this.#days.set(row.day, row);
    this.#readOn = today;
    return [...this.#days.values()];
  }

  /** Forgets everything: another operator may sign in. */
  clear(): void {
    this.#days.clear();
    this.#readOn = undefined;
  }
}

export async function readRefusals(api: Api, from: string, to: string): Promise<Refusal[]> {
  return (await api.get<{ data: Refusal[] }>(`refusals?from=${from}&to=${to}`)).data;
}

/** Returns what each user spent on a day. `isWhole` is false if there are more users than are read. */
export async function readUsers(api: Api, day: string): Promise<{ rows: UserSpend[]; isWhole: boolean }> {
  const rows: UserSpend[] = [];
  let cursor = "";
  for (let page = 0; page < USER_PAGES; page += 1) {
    const { data, next_cursor: next } = await api.get<Page<UserSpend>>(`spend?by=user&from=${day}&to=${day}&limit=${PAGE_SIZE}${cursor}`);
    rows.push(...data);
    if (next === null) return { rows, isWhole: true };
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
  return { rows, isWhole: false };
}

/** Pages of an export that are read: 10,000 predictions and files. */
const EXPORT_PAGES = 100;
const EXPORT_PAGE_SIZE = 100;

interface Export {
  predictions: unknown[];
  files: unknown[];
  next_cursor: string | null;
}

/** Returns all that is stored of a user, as one document. With more than it may read, `next_cursor` is where it ends. */
export async function readExport(api: Api, path: string): Promise<{ content: Export; isWhole: boolean }> {
  const read = (cursor: string | null): Promise<Export> =>
    api.get<Export>(`${path}?limit=${EXPORT_PAGE_SIZE}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
  const content = await read(null);
  for (let page = 1; page < EXPORT_PAGES && content.next_cursor !== null; page += 1) {
    const more = await read(content.next_cursor);
    content.predictions.push(...more.predictions);
    content.files.push(...more.files);
    content.next_cursor = more.next_cursor;
  }
  return { content, isWhole: content.next_cursor === null };
}
