// The demo page as a user sees it: what the tests do on it and read from it.
import assert from "node:assert/strict";
import { openRecorded, record } from "../support/browser.mjs";

/** Long enough for a prediction of 15 s, the Worker's polls (the first after 2 s) and the page's own. */
const PICTURE_TIMEOUT_MS = 40_000;
/** How long a prediction of `beginLong` takes: longer than any test, on the slowest machine. */
const LONG_MS = 120_000;
const SUBJECT_KEY = "valetkey-demo-subject";

/** `[slow]` makes the simulator take ten times as long. */
export const SLOW = "A garden in all four seasons [slow]";

export class DemoPage {
  constructor({ context, page, recorder }) {
    this.context = context;
    this.page = page;
    this.recorder = recorder;
    this.prompt = page.getByRole("textbox", { name: "Description" });
    this.create = page.getByRole("button", { name: "Create", exact: true });
    this.cancel = page.getByRole("button", { name: "Cancel", exact: true });
    this.file = page.getByLabel("Start from a picture");
    this.status = page.getByRole("status");
    this.problem = page.locator("#problem");
    this.picture = page.locator("figure img");
    this.thumbs = page.locator("#gallery-list .thumb");
  }

  static async open({ stack, browser }, options = {}) {
    const { origin = stack.origin, prepare, ...more } = options;
    return new DemoPage(await openRecorded(browser, `${origin}/`, more, prepare));
  }

  /** Opens another tab of the same browser. */
  async anotherTab() {
    return new DemoPage(await record(this.context, this.page.url()));
  }

  async submit(prompt) {
    // Create is kept, but nothing is shown yet, while the page does not know its settings.
    await this.page.locator("#form:not([aria-busy])").waitFor();
    await this.prompt.fill(prompt);
    await this.create.scrollIntoViewIfNeeded();
    // Chromium still sends a click to the Turnstile frame that was in this place before the page was scrolled, until it has
    // drawn the next frames.
    await this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await this.create.click();
  }

  /** Waits for the picture and returns its width in pixels. */
  async pictureWidth() {
    // Before the page has its token, Cancel is not shown yet.
    await Promise.any([this.picture, this.problem].map((end) => end.waitFor({ timeout: PICTURE_TIMEOUT_MS })));
    await this.waitUntilEnded();
    assert.equal(await this.picture.isVisible(), true, `no picture; the page says: ${await this.says()}`);
    return this.picture.evaluate((picture) => picture.naturalWidth);
  }

  /** Waits until the page makes and loads nothing any more: Cancel is hidden. */
  async waitUntilEnded() {
    await this.cancel.waitFor({ state: "hidden", timeout: PICTURE_TIMEOUT_MS });
  }

  /** Waits until the prediction is processing, so that the vendor has it. */
  async waitUntilMaking() {
    await this.waitUntilSaid("Making your picture…");
  }

  async waitUntilSaid(text) {
    await this.status.filter({ hasText: text }).waitFor({ timeout: PICTURE_TIMEOUT_MS });
  }

  async cancelAndWait() {
    await this.cancel.click();
    await this.waitUntilEnded();
  }

  /** Waits for the error message and returns its text. */
  async problemText() {
    await this.problem.waitFor({ timeout: PICTURE_TIMEOUT_MS });
    return this.problem.innerText();
  }

  /** Waits until the gallery has `count` entries, and returns their names. */
  async gallery(count) {
    await this.page.waitForFunction((wanted) => document.querySelectorAll("#gallery-list li").length === wanted, count, { timeout: PICTURE_TIMEOUT_MS });
    return this.thumbs.evaluateAll((thumbs) => thumbs.map((thumb) => {
      const picture = thumb.querySelector("img");
      return picture.hidden ? thumb.innerText.replace(/\s+/g, " ") : picture.alt;
    }));
  }

  /** Returns the subject of this browser's tokens, or `null` for a new user. */
  subject() {
    return this.page.evaluate((key) => localStorage.getItem(key), SUBJECT_KEY);
  }

  async says() {
    return `${await this.status.innerText()} ${await this.problem.textContent()}`;
  }

  close() {
    return this.context.close();
  }
}

/** Makes the vendor take `ms` for each prediction while `use` runs. */
export async function withPace({ simulator, predictionMs }, ms, use) {
  await simulator.settings({ prediction_ms: ms });
  try {
    await use();
  } finally {
    await simulator.settings({ prediction_ms: predictionMs });
  }
}

/** Starts a prediction that takes longer than the test, so the test has to cancel it. */
export async function beginLong(demo, { stack }, prompt = SLOW) {
  await withPace(stack, LONG_MS / 10, async () => {
    await demo.submit(prompt);
    await demo.waitUntilMaking();
  });
}

/** Returns a test that opens the demo page, passes it to `use` and closes it. */
export function onDemo(use, options) {
  return async (world) => {
    const demo = await DemoPage.open(world, options);
    try {
      await use(demo, world);
    } finally {
      await world.stack.simulator.clearFaults();
      await demo.close();
    }
  };
}
