// Shows what was spent and what was refused: charts of 30 days, and today's lists.
import { element } from "../../demo/src/dom.ts";
import { BarChart } from "./chart-view.ts";
import { byDay } from "./days.ts";
import { button, create, setText } from "./elements.ts";
import { type Item, KeyedList } from "./keyed-list.ts";
import type { DaySpend, Refusal, UserSpend } from "./shapes.ts";
import { countText, numberText, shortKey } from "./text.ts";

/** The users of the list. */
const TOP_USERS = 10;

export class SpendView {
  readonly #spend = new BarChart(element("chart-spend", HTMLElement), "Credits");
  readonly #refusals = new BarChart(element("chart-refusals", HTMLElement), "Refused requests");
  readonly #codes = new KeyedList<Refusal>(element("codes", HTMLElement), ({ code }) => code, codeItem, element("codes-empty", HTMLElement));
  readonly #users: KeyedList<UserSpend>;

  constructor(openUser: (user: string) => void) {
    this.#users = new KeyedList<UserSpend>(element("users", HTMLElement), ({ user }) => user ?? "", (row) => userItem(row, openUser), element("users-empty", HTMLElement));
  }

  showSpend(rows: readonly DaySpend[], today: string): void {
    this.#spend.show(byDay(rows.map(({ day, credits }) => ({ day, value: Number(credits) })), today));
  }

  showRefusals(rows: readonly Refusal[], today: string): void {
    this.#refusals.show(byDay(rows.map(({ day, count }) => ({ day, value: count })), today));
    this.#codes.show(rows.filter(({ day }) => day === today).sort((a, b) => b.count - a.count));
  }

  /** `isWhole` is false if there are more users than were read. */
  showUsers(rows: readonly UserSpend[], isWhole: boolean): void {
    const sorted = [...rows].sort((a, b) => Number(b.credits) - Number(a.credits));
    this.#users.show(sorted.slice(0, TOP_USERS));
    const more = element("users-more", HTMLElement);
    more.hidden = isWhole && rows.length <= TOP_USERS;
    setText(more, isWhole ? `${countText(rows.length, "user")} in all.` : `The first ${numberText(rows.length)} users only.`);
  }
}

function codeItem(refusal: Refusal): Item<Refusal> {
  const row = create("li");
  const side = create("span", "side");
  row.append(create("span", "main", refusal.code), side);
  return { element: row, update: ({ count }) => setText(side, numberText(count)) };
}

function userItem({ user }: UserSpend, openUser: (user: string) => void): Item<UserSpend> {
  const row = create("li");
  const main = create("span", "main");
  main.append(user === null ? "deleted users" : button(shortKey(user), "link", () => openUser(user)));
  const side = create("span", "side");
  row.append(main, side);
  return { element: row, update: ({ credits, predictions }) => setText(side, `${countText(Number(credits), "credit")}, ${countText(predictions, "prediction")}`) };
}
