// A list on the page that follows rows which come again every few seconds.

/** The element of one row. */
export interface Item<Row> {
  element: HTMLElement;
  update: (row: Row) => void;
}

/** Keeps one element for each key. An element that stays is not moved, so it keeps the focus. */
export class KeyedList<Row> {
  readonly #parent: HTMLElement;
  readonly #keyOf: (row: Row) => string;
  readonly #make: (row: Row) => Item<Row>;
  readonly #empty: HTMLElement | undefined;
  #items = new Map<string, Item<Row>>();

  /** `empty` is shown while there are no rows. */
  constructor(parent: HTMLElement, keyOf: (row: Row) => string, make: (row: Row) => Item<Row>, empty?: HTMLElement) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#make = make;
    this.#empty = empty;
  }

  show(rows: readonly Row[]): void {
    const kept = new Map(rows.map((row) => {
      const key = this.#keyOf(row);
      const item = this.#items.get(key) ?? this.#make(row);
      item.update(row);
      return [key, item];
    }));
    const lost = [...this.#items].filter(([key]) => !kept.has(key)).map(([, { element }]) => element);
    const focused = lost.findIndex((element) => element.contains(document.activeElement));
    const place = focused < 0 ? -1 : [...this.#parent.children].indexOf(lost[focused] as Element);
    for (const element of lost) element.remove();
    [...kept.values()].forEach(({ element }, index) => {
      const there = this.#parent.children[index];
      if (there !== element) this.#parent.insertBefore(element, there ?? null);
    });
    this.#items = kept;
    this.#parent.hidden = rows.length === 0;
    if (this.#empty !== undefined) this.#empty.hidden = rows.length > 0;
    if (place >= 0) this.#refocus(place);
  }

  /** The row with the focus is gone. A keyboard user goes on at the row that took its place. */
  #refocus(place: number): void {
    const next = this.#parent.children[Math.min(place, this.#parent.children.length - 1)];
    const target = next?.querySelector<HTMLElement>("button") ?? this.#parent.closest("main");
    target?.focus();
  }
}
