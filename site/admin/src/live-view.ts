// Says in the page's head how fresh the numbers are.
import { element } from "../../demo/src/dom.ts";
import { setText } from "./elements.ts";
import { timeText } from "./text.ts";

export class LiveView {
  readonly #line = element("live", HTMLElement);
  /** The time of the last state. */
  #last: string | undefined;

  fresh(time: string): void {
    this.#last = time;
    this.#show("live", `Live, ${timeText(time)} UTC`);
  }

  /** `next` is the time until the next try, milliseconds. */
  late(next: number | undefined): void {
    const since = this.#last === undefined ? "Not live" : `Not live since ${timeText(this.#last)} UTC`;
    this.#show("late", next === undefined ? since : `${since}. Next try in ${Math.ceil(next / 1_000)} s`);
  }

  hide(): void {
    this.#last = undefined;
    this.#line.hidden = true;
  }

  #show(state: string, text: string): void {
    this.#line.hidden = false;
    this.#line.dataset["state"] = state;
    setText(this.#line, text);
  }
}
