// Shows the audit log, the latest action first.
import { element } from "../../demo/src/dom.ts";
import type { Api } from "./api.ts";
import { button, create, setText } from "./elements.ts";
import { type Item, KeyedList } from "./keyed-list.ts";
import type { AuditRow, Page } from "./shapes.ts";
import { shortKey, timeText } from "./text.ts";

const PAGE_SIZE = 20;
const USER_KEY = /^[0-9a-f]{64}$/;

export class AuditView {
  readonly #list: KeyedList<AuditRow>;
  readonly #more = element("audit-more", HTMLButtonElement);
  readonly #api: Api;
  #rows = new Map<number, AuditRow>();
  /** The cursor after the last row that is shown. */
  #cursor: string | null = null;

  /** `onMore` gets what "Show more" does, to run it and to show its failure. */
  constructor(api: Api, openUser: (user: string) => void, onMore: (read: () => Promise<void>) => void) {
    this.#api = api;
    this.#list = new KeyedList<AuditRow>(element("audit", HTMLElement), ({ id }) => String(id), (row) => auditItem(row, openUser), element("audit-empty", HTMLElement));
    this.#more.addEventListener("click", () => onMore(() => this.#readMore()));
  }

  /** Reads the latest rows. Older ones that are shown stay. */
  async refresh(): Promise<void> {
    const page = await this.#read(null);
    const isFirst = this.#rows.size === 0;
    // More new rows than a page has: rows between them and the older ones are missing, so the older ones go.
    const hasGap = !isFirst && page.next_cursor !== null && !page.data.some(({ id }) => this.#rows.has(id));
    if (hasGap) this.#rows.clear();
    if (isFirst || hasGap) this.#cursor = page.next_cursor;
    this.#take(page);
  }

  /** Forgets everything: another operator may sign in. */
  clear(): void {
    this.#rows.clear();
    this.#cursor = null;
  }

  async #readMore(): Promise<void> {
    if (this.#cursor === null) return;
    const page = await this.#read(this.#cursor);
    this.#cursor = page.next_cursor;
    this.#take(page);
  }

  #read(cursor: string | null): Promise<Page<AuditRow>> {
    const more = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.#api.get(`audit?limit=${PAGE_SIZE}${more}`);
  }

  #take({ data }: Page<AuditRow>): void {
    for (const row of data) this.#rows.set(row.id, row);
    this.#list.show([...this.#rows.values()].sort((a, b) => b.id - a.id));
    this.#more.hidden = this.#cursor === null;
  }
}

function auditItem({ time, operator, action, target, request_id: id }: AuditRow, openUser: (user: string) => void): Item<AuditRow> {
  const row = create("li");
  const main = create("span", "main", action);
  const more = create("span", "more");
  if (target !== null) more.append(USER_KEY.test(target) ? button(shortKey(target), "link", () => openUser(target)) : target, ", ");
  more.append(`by ${operator}, ${id}`);
  const result = create("span", "side");
  row.append(create("span", "side", timeText(time)), main, more, result);
  return {
    element: row,
    update: ({ result: value }) => {
      result.className = `side result-${value ?? "unknown"}`;
      setText(result, value ?? "result not known");
    },
  };
}
