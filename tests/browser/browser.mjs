// Chromium, and a record of everything that a page received.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

/** Beside headless: no sandbox for root, who has none, and nothing that Chromium would fetch for itself. */
const FLAGS = [
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];

/** The path of Chromium; `undefined` where there is none. */
export function findChromium() {
  const named = process.env.CHROMIUM_BIN;
  if (named) return existsSync(named) ? named : undefined;
  return CANDIDATES.find((path) => existsSync(path));
}

export function launch(executablePath) {
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Opens a page of its own context, recorded from its first request on. */
export async function openRecorded(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const recorder = new Recorder(context, page);
  await recorder.start();
  await page.goto(url);
  return { context, page, recorder };
}

export class Recorder {
  #context;
  #page;
  #protocol;
  #records = [];
  #pending = [];
  /** Console errors, uncaught exceptions and violations of the content security policy. */
  complaints = [];
  /** `{url, status, headers}` of every answer as it came over the wire, preflights included. */
  answers = [];

  constructor(context, page) {
    this.#context = context;
    this.#page = page;
  }

  async start() {
    const page = this.#page;
    page.on("console", (message) => {
      this.#add("console", message.text());
      if (message.type() === "error") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => {
      this.#add("uncaught exception", String(error.stack));
      this.complaints.push(String(error));
    });
    page.on("response", (response) => this.#pending.push(this.#keep(response)));
    await page.exposeFunction("reportViolation", (text) => this.complaints.push(`content security policy: ${text}`));
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        globalThis.reportViolation(`${event.effectiveDirective} ${event.blockedURI}`);
      });
    });
    // Playwright shows a page's requests, the protocol below it also the preflights and the headers as they came.
    this.#protocol = await this.#context.newCDPSession(page);
    const urls = new Map();
    this.#protocol.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, `${request.method} ${request.url}`));
    this.#protocol.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode, headers }) => {
      const url = urls.get(requestId) ?? "";
      this.answers.push({ url, status: statusCode, headers });
      this.#add(`raw headers of ${url}`, JSON.stringify(headers));
    });
    await this.#protocol.send("Network.enable");
  }

  async #keep(response) {
    const what = `${response.request().method()} ${response.url()}`;
    this.#add(`address of ${what}`, response.url());
    try {
      this.#add(`headers of ${what}`, JSON.stringify(await response.headersArray()));
      this.#add(`body of ${what}`, await response.body());
    } catch {
      // An answer without a body, or of a request that the page gave up.
    }
  }

  #add(what, content) {
    this.#records.push({ what, content });
  }

  /** Everything received so far, and everything that the page keeps now: storage, document, the script engine's heap. */
  async everything() {
    await Promise.all(this.#pending);
    const kept = await this.#page.evaluate(async () => ({
      "document": document.documentElement.outerHTML,
      "form fields": JSON.stringify([...document.querySelectorAll("input, textarea")].map((field) => field.value)),
      "localStorage": JSON.stringify({ ...localStorage }),
      "sessionStorage": JSON.stringify({ ...sessionStorage }),
      "IndexedDB": JSON.stringify(await indexedDB.databases()),
      "Cache Storage": JSON.stringify(await caches.keys()),
      "document.cookie": document.cookie,
      "window.name": window.name,
    }));
    const records = Object.entries(kept).map(([what, content]) => ({ what, content }));
    records.push({ what: "cookies", content: JSON.stringify(await this.#context.cookies()) });
    records.push({ what: "heap", content: await this.#heap() });
    return [...this.#records, ...records];
  }

  async #heap() {
    const chunks = [];
    const keep = ({ chunk }) => chunks.push(chunk);
    this.#protocol.on("HeapProfiler.addHeapSnapshotChunk", keep);
    await this.#protocol.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
    this.#protocol.off("HeapProfiler.addHeapSnapshotChunk", keep);
    return chunks.join("");
  }
}
