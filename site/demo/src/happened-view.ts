// The panel "What just happened". The token itself is shown only on request.
import { type Claims, claimText, secondsLeft } from "./claims.ts";
import { copies } from "./copy.ts";
import { curlOf, type SentRequest } from "./curl.ts";
import { element } from "./dom.ts";
import { eventText, type HappenedView, type SeenEvent } from "./happened.ts";
import { clock } from "./times.ts";

const SHOW = "Show the token in it";
const HIDE = "Hide the token";

export class HappenedPanel implements HappenedView {
  readonly #section = element("happened", HTMLElement);
  readonly #claims = element("claims", HTMLDListElement);
  readonly #left = element("token-left", HTMLElement);
  readonly #curl = element("curl", HTMLElement);
  readonly #curlHint = element("curl-hint", HTMLElement);
  readonly #curlActions = element("curl-actions", HTMLElement);
  readonly #reveal = element("curl-reveal", HTMLButtonElement);
  readonly #events = element("events", HTMLOListElement);
  readonly #eventsHint = element("events-hint", HTMLElement);
  readonly #raw = element("events-raw", HTMLDetailsElement);
  readonly #rawText = element("events-json", HTMLElement);
  #token: { text: string; claims: Claims } | undefined;
  #request: SentRequest | undefined;
  #isRevealed = false;

  constructor() {
    copies(element("curl-copy", HTMLButtonElement), this.#curl);
    this.#reveal.addEventListener("click", () => this.#setRevealed(!this.#isRevealed));
    setInterval(() => this.#tick(), 1_000);
  }

  setToken(text: string, claims: Claims): void {
    this.#token = { text, claims };
    this.#claims.replaceChildren(...sorted(claims).flatMap(([name, value]) => [labeled("dt", name), labeled("dd", claimText(name, value))]));
    this.#section.hidden = false;
    this.#tick();
    this.#setRevealed(false);
  }

  setRequest(request: SentRequest): void {
    this.#request = request;
    this.#curlHint.hidden = true;
    this.#eventsHint.textContent = "No event has come yet.";
    this.#curl.hidden = false;
    this.#curlActions.hidden = false;
    this.#setRevealed(false);
  }

  setEvents(events: readonly SeenEvent[]): void {
    this.#eventsHint.hidden = events.length > 0;
    this.#raw.hidden = events.length === 0;
    this.#events.replaceChildren(...events.map(line));
    this.#rawText.textContent = events.map(({ prediction }) => JSON.stringify(prediction, undefined, 1)).join("\n");
  }

  #setRevealed(isRevealed: boolean): void {
    this.#isRevealed = isRevealed;
    this.#reveal.textContent = isRevealed ? HIDE : SHOW;
    if (this.#request !== undefined) this.#curl.textContent = curlOf(this.#request, isRevealed ? this.#token?.text : undefined);
  }

  #tick(): void {
    const left = this.#token === undefined ? undefined : secondsLeft(this.#token.claims, Date.now());
    if (left === undefined) this.#left.textContent = "";
    else this.#left.textContent = left === 0 ? "It has expired." : `It expires in ${clock(left * 1_000)} minutes.`;
  }
}

/** The claims in the order of this list, then the others as they are. */
const ORDER = ["sub", "iss", "aud", "iat", "exp"];

function sorted(claims: Claims): [string, unknown][] {
  const place = ([name]: [string, unknown]): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return Object.entries(claims).sort((one, other) => place(one) - place(other));
}

function labeled(tag: "dt" | "dd" | "span" | "code", text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function line({ afterMs, prediction }: SeenEvent): HTMLLIElement {
  const made = document.createElement("li");
  const at = labeled("span", `${(afterMs / 1_000).toFixed(1)} s`);
  at.className = "at";
  const text = eventText(prediction);
  made.append(at, " ", labeled("code", prediction.status), ...(text === "" ? [] : [" ", labeled("span", text)]));
  return made;
}
