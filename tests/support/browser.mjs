// Launches Chromium and records everything that a page receives.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

/** As root, Chromium starts only without its sandbox. The other flags keep it from sending requests of its own. */
const FLAGS = [
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const ANSWERS_TIMEOUT_MS = 30_000;

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"];

/** Returns the path of Chromium, or `undefined`: CHROMIUM_BIN if set, else the first of `CANDIDATES` that exists. */
export function findChromium() {
  const named = process.env.CHROMIUM_BIN;
  if (named) return existsSync(named) ? named : undefined;
  return CANDIDATES.find((path) => existsSync(path));
}

export function launch(executablePath, flags = []) {
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

/** Opens a page in a new context and records it from its first request on. `prepare` gets the context before that. */
export async function openRecorded(browser, url, options = {}, prepare = () => {}) {
  const context = await browser.newContext(options);
  await prepare(context);
  return record(context, url);
}

/** Opens and records one more page in `context`. */
export async function record(context, url) {
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
  #streams = new Map();
  /** Console errors, uncaught exceptions and violations of the content security policy. */
  complaints = [];
  /** `{url, status, headers}` of every response as it arrived, CORS preflights included. `url` is "METHOD URL". */
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
    // Playwright reports only the page's own requests. The DevTools protocol also reports preflights and raw headers.
    this.#protocol = await this.#context.newCDPSession(page);
    const urls = new Map();
    this.#protocol.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, `${request.method} ${request.url}`));
    this.#protocol.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode, headers }) => {
      // The protocol may report the response before the request, so the address is read when it is needed.
      const url = () => urls.get(requestId) ?? "";
      this.answers.push({ get url() { return url(); }, status: statusCode, headers });
      this.#add(`raw headers of ${url()}`, JSON.stringify(headers));
    });
    this.#keepStreams(urls);
    await this.#protocol.send("Network.enable");
  }

  /** Keeps the chunks of event streams as they arrive: once the page closes a stream, its body cannot be fetched. */
  #keepStreams(urls) {
    const keep = (requestId, data) => {
      const { content = Buffer.alloc(0) } = this.#streams.get(requestId) ?? {};
      this.#streams.set(requestId, { what: `body of ${urls.get(requestId)}`, content: Buffer.concat([content, Buffer.from(data, "base64")]) });
    };
    this.#protocol.on("Network.responseReceived", ({ requestId, response }) => {
      if (response.mimeType !== "text/event-stream") return;
      keep(requestId, "");
      const early = this.#protocol.send("Network.streamResourceContent", { requestId });
      // This fails if the stream has ended; then `#keep` gets its body, as of any other response.
      this.#pending.push(early.then(({ bufferedData }) => keep(requestId, bufferedData), () => {}));
    });
    this.#protocol.on("Network.dataReceived", ({ requestId, data }) => {
      if (data && this.#streams.has(requestId)) keep(requestId, data);
    });
  }

  /**
   * Returns the responses to URLs that contain `text`, once there are `count` or after 30 s. The DevTools protocol
   * reports a response later than the page receives it.
   */
  async answersTo(text, count) {
    const found = () => this.answers.filter(({ url }) => url.includes(text));
    for (const until = performance.now() + ANSWERS_TIMEOUT_MS; found().length < count && performance.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return found();
  }

  async #keep(response) {
    const what = `${response.request().method()} ${response.url()}`;
    this.#add(`address of ${what}`, response.url());
    try {
      this.#add(`headers of ${what}`, JSON.stringify(await response.headersArray()));
      this.#add(`body of ${what}`, await response.body());
    } catch {
      // The response has no body, or the page aborted the request.
    }
  }

  #add(what, content) {
    this.#records.push({ what, content });
  }

  /** Returns everything received so far, and everything that the page holds now: storage, document, cookies, heap. */
  async everything() {
    await Promise.all(this.#pending);
    const kept = await this.#page.evaluate(async () => ({
      "document": document.documentElement.outerHTML,
      "form fields": JSON.stringify([...document.querySelectorAll("input, textarea")].map((field) => field.value)),
      "localStorage": JSON.stringify({ ...localStorage }),
      "sessionStorage": JSON.stringify({ ...sessionStorage }),
      "Cache Storage": JSON.stringify(await caches.keys()),
      "document.cookie": document.cookie,
      "window.name": window.name,
    }));
    const records = Object.entries(kept).map(([what, content]) => ({ what, content }));
    records.push({ what: "IndexedDB", content: await this.#page.evaluate(readDatabases) });
    records.push({ what: "cookies", content: JSON.stringify(await this.#context.cookies()) });
    records.push({ what: "heap", content: await this.#heap() });
    return [...this.#records, ...this.#streams.values(), ...records];
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

/** Runs in the page. Returns the contents of all IndexedDB databases as JSON. */
async function readDatabases() {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const contents = (await indexedDB.databases()).map(async ({ name }) => {
    const database = await done(indexedDB.open(name));
    const stores = [...database.objectStoreNames].map((store) => done(database.transaction(store).objectStore(store).getAll()));
    return [name, await Promise.all(stores)];
  });
  return JSON.stringify(await Promise.all(contents));
}
