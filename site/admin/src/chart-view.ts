// Draws charts as SVG.
import { type Sample, steps, top } from "./chart.ts";
import { create } from "./elements.ts";
import { numberText } from "./text.ts";

const SVG = "http://www.w3.org/2000/svg";

/** A drawing with its scale and its ends. */
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

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
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
