// Draws charts as SVG. Each also has its values as a table.
import { bars, type Sample, steps, top, type Value } from "./chart.ts";
import { create } from "./elements.ts";
import { numberText } from "./text.ts";

const SVG = "http://www.w3.org/2000/svg";

/** What the two kinds of charts have in common: the drawing, its scale and its ends. */
class Plot {
  readonly #svg = document.createElementNS(SVG, "svg");
  readonly #scale = create("div", "scale");
  readonly #ends = create("div", "ends");

  constructor(figure: HTMLElement) {
    this.#svg.setAttribute("viewBox", "0 0 100 100");
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    const plot = create("div", "plot");
    this.#scale.setAttribute("aria-hidden", "true");
    plot.append(this.#scale, this.#svg, this.#ends);
    figure.append(plot);
  }

  draw(shapes: SVGElement[], highest: number, ends: [string, string], says: string): void {
    this.#svg.replaceChildren(...shapes);
    this.#svg.setAttribute("aria-label", says);
    this.#scale.replaceChildren(create("span", "", numberText(highest)), create("span", "", "0"));
    this.#ends.replaceChildren(...ends.map((end) => create("span", "", end)));
  }
}

function shape(name: string, attributes: Record<string, string | number>, title?: string): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  if (title !== undefined) {
    const tip = document.createElementNS(SVG, "title");
    tip.textContent = title;
    element.append(tip);
  }
  return element;
}

/** Bars: one value a day, the latest in the accent color. */
export class BarChart {
  readonly #plot: Plot;
  readonly #name: string;
  readonly #rows = create("tbody");

  constructor(figure: HTMLElement, name: string) {
    this.#plot = new Plot(figure);
    this.#name = name;
    const table = create("table");
    table.append(this.#rows);
    const scroll = create("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", `${name} as a table`);
    scroll.append(table);
    const details = create("details");
    details.append(create("summary", "", "As a table"), scroll);
    figure.append(details);
  }

  show(values: readonly Value[]): void {
    const latest = values.at(-1);
    if (latest === undefined) return;
    const drawn = bars(values).map((bar, index) => {
      const { label, value } = values[index] ?? latest;
      return shape("rect", { ...bar, class: index === values.length - 1 ? "bar latest" : "bar" }, `${label}: ${numberText(value)}`);
    });
    const highest = values.reduce((most, value) => (value.value > most.value ? value : most), latest);
    const says = `${this.#name}: ${numberText(latest.value)} on ${latest.label}, at most ${numberText(highest.value)} on ${highest.label}`;
    this.#plot.draw(drawn, top(values.map(({ value }) => value)), [values[0]?.label ?? "", latest.label], says);
    this.#rows.replaceChildren(...[...values].reverse().map(({ label, value }) => {
      const row = create("tr");
      const head = create("th", "", label);
      head.scope = "row";
      row.append(head, create("td", "", numberText(value)));
      return row;
    }));
  }
}

/** A number over the last minutes. */
export class LineChart {
  readonly #plot: Plot;
  readonly #name: string;

  constructor(figure: HTMLElement, name: string) {
    figure.append(create("p", "plot-name", name));
    this.#plot = new Plot(figure);
    this.#name = name;
  }

  show(samples: readonly Sample[]): void {
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined) return;
    const highest = top(samples.map(({ value }) => value));
    const line = shape("polyline", { points: steps(samples, first.at, last.at, highest), class: "line" });
    const minutes = Math.round((last.at - first.at) / 60_000);
    const from = minutes < 1 ? "" : `${minutes} min ago`;
    this.#plot.draw([line], highest, [from, "now"], `${this.#name}: ${numberText(last.value)} now`);
  }
}
