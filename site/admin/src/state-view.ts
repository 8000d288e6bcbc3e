// Shows the state: the tiles, pauses, alerts, unknown outcomes, versions.
import { element } from "../../demo/src/dom.ts";
import { button, create, setText } from "./elements.ts";
import { type Item, KeyedList } from "./keyed-list.ts";
import type { Alert, Pause, State, UnknownOutcome, Version } from "./shapes.ts";
import { countText, leftText, numberText, shortKey, timeText } from "./text.ts";

/** What a click on the state leads to. */
export interface StateClicks {
  resume: (pause: Pause) => void;
  release: (unknown: UnknownOutcome) => void;
  openUser: (user: string) => void;
}

const ROTATIONS: Readonly<Record<string, string>> = {
  none: "None",
  checking: "Checking",
  refused: "Refused",
  draining: "Draining",
  safe_to_revoke: "Safe to revoke",
};

export class StateView {
  readonly #pauses: KeyedList<Pause>;
  readonly #alerts = new KeyedList<Alert>(element("alerts", HTMLElement), ({ time, alert, detail }) => `${time} ${alert} ${detail}`, alertItem, element("alerts-empty", HTMLElement));
  readonly #unknown: KeyedList<UnknownOutcome>;
  #now = "";

  constructor(clicks: StateClicks) {
    this.#pauses = new KeyedList<Pause>(element("pauses", HTMLElement), ({ id }) => id, (pause) => this.#pauseItem(pause, clicks));
    this.#unknown = new KeyedList<UnknownOutcome>(
      element("unknown", HTMLElement), ({ job_id: id }) => id, (unknown) => this.#unknownItem(unknown, clicks), element("unknown-empty", HTMLElement),
    );
  }

  show(state: State): void {
    this.#now = state.time;
    this.#showTiles(state);
    element("pauses-panel", HTMLElement).hidden = state.pauses.length === 0;
    this.#pauses.show(state.pauses);
    element("alerts-panel", HTMLElement).hidden = state.alerts === undefined;
    this.#alerts.show(state.alerts ?? []);
    this.#unknown.show(state.unknown_outcomes);
    showVersions(state);
  }

  #showTiles({ vendor_key: key, slots, submitting, queue, requests, today, rotation }: State): void {
    const isRefused = key.health !== "ok";
    const since = key.since === null ? "" : ` since ${timeText(key.since)}`;
    tile("tile-key", isRefused ? "Refused" : "Works", `${shortKey(key.fingerprint)}${isRefused ? since : ""}`, isRefused);
    const parts = [submitting > 0 ? `${numberText(submitting)} being sent` : "", slots.unknown > 0 ? `${numberText(slots.unknown)} unknown` : ""].filter((part) => part !== "");
    tile("tile-slots", `${numberText(slots.in_use)} of ${numberText(slots.total)}`, parts.join(", ") || "slots of the key", slots.unknown > 0);
    tile("tile-queue", numberText(queue.waiting), `of ${numberText(queue.max_waiting)} places`, queue.waiting >= queue.max_waiting);
    tile("tile-requests", numberText(requests.remaining), `of ${numberText(requests.per_minute)} this minute`);
    const limit = today.daily_credits === null ? "no limit" : `of ${numberText(today.daily_credits)}`;
    const ended = today.predictions === undefined ? "" : `for ${countText(today.predictions, "prediction")}, `;
    const isSpent = today.daily_credits !== null && Number(today.credits) >= Number(today.daily_credits);
    tile("tile-today", numberText(today.credits), `${ended}${limit}`, isSpent);
    element("tile-rotation", HTMLElement).hidden = rotation === undefined;
    if (rotation === undefined) return;
    const old = rotation.state === "draining" ? `${countText(rotation.jobs_of_old_key, "prediction")} of the old key` : "";
    const next = rotation.fingerprint === null ? "no next key" : `next key ${shortKey(rotation.fingerprint)}`;
    tile("tile-rotation", ROTATIONS[rotation.state] ?? rotation.state, old === "" ? next : old, rotation.state === "refused");
  }

  #pauseItem(pause: Pause, clicks: StateClicks): Item<Pause> {
    const row = create("li");
    const main = create("span", "main", pause.model ?? "Every model");
    const side = create("span", "side");
    row.append(main, side, button("Resume", "write", () => clicks.resume(pause)));
    return { element: row, update: ({ ends_at: end }) => setText(side, `ends in ${leftText(end, this.#now)}`) };
  }

  #unknownItem(unknown: UnknownOutcome, clicks: StateClicks): Item<UnknownOutcome> {
    const row = create("li");
    const main = create("span", "main");
    main.append(create("code", "", unknown.job_id));
    const more = create("span", "more");
    const side = create("span", "side");
    more.append(`${unknown.model}, since ${timeText(unknown.since)}, of `, button(shortKey(unknown.user), "link", () => clicks.openUser(unknown.user)));
    row.append(main, side, button("Release", "write", () => clicks.release(unknown)), more);
    return { element: row, update: ({ slot_ends_at: end }) => setText(side, `frees itself in ${leftText(end, this.#now)}`) };
  }
}

function tile(id: string, figure: string, note: string, isBad = false): void {
  const root = element(id, HTMLElement);
  root.classList.toggle("bad", isBad);
  for (const [name, text] of [["figure", figure], ["note", note]] as const) {
    const line = root.querySelector(`.${name}`);
    if (line !== null) setText(line, text);
  }
}

function alertItem({ time, alert, detail }: Alert): Item<Alert> {
  const row = create("li");
  row.append(create("span", "main", alert), create("span", "side", timeText(time)));
  if (detail !== null) row.append(create("span", "more", detail));
  return { element: row, update: () => {} };
}

function versionText({ id, tag }: Version): string {
  if (id === null) return "not known here";
  return tag === null || tag === "" ? id : `${id} (${tag})`;
}

function showVersions({ version, keys_by_version: keys, rotation, dead_letters: dead, unreadable_rows: unreadable }: State): void {
  const facts: [string, string][] = [["Edge", versionText(version.edge)], ["Dispatcher", versionText(version.dispatcher)]];
  if (rotation !== undefined && rotation.since !== null) facts.push(["Rotation since", timeText(rotation.since)]);
  for (const { version_id: id, fingerprint, seen_at: at } of keys) facts.push([`Key of ${shortKey(id)}`, `${fingerprint}, seen ${timeText(at)}`]);
  if (dead > 0) facts.push(["Dead letters", numberText(dead)]);
  if (unreadable > 0) facts.push(["Unreadable rows", numberText(unreadable)]);
  const list = element("versions", HTMLElement);
  const text = facts.flat().join("\n");
  // Unchanged text stays as it is, with a selection in it.
  if (list.dataset["shown"] === text) return;
  list.dataset["shown"] = text;
  list.replaceChildren(...facts.flatMap(([name, value]) => [create("dt", "", name), create("dd", "", value)]));
}
