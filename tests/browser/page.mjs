// The demo page as a person sees it: what the tests do on it and read from it.
import assert from "node:assert/strict";
import { openRecorded } from "./browser.mjs";

/** Long enough for a prediction, the Worker's polls (from 2 s) and the page's own. */
const PICTURE_TIMEOUT_MS = 30_000;

export class DemoPage {
  constructor({ context, page, recorder }) {
    this.context = context;
    this.page = page;
    this.recorder = recorder;
    this.prompt = page.getByLabel("Description");
    this.create = page.getByRole("button", { name: "Create" });
    this.cancel = page.getByRole("button", { name: "Cancel" });
    this.status = page.getByRole("status");
    this.problem = page.getByRole("alert");
    this.picture = page.locator("figure img");
  }

  static async open({ stack, browser }, options) {
    return new DemoPage(await openRecorded(browser, `${stack.origin}/`, options));
  }

  async submit(prompt) {
    await this.prompt.fill(prompt);
    await this.create.click();
  }

  /** Waits for the picture and returns its width in pixels. */
  async pictureWidth() {
    await this.waitUntilEnded();
    assert.equal(await this.picture.isVisible(), true, `no picture; the page says: ${await this.says()}`);
    return this.picture.evaluate((picture) => picture.naturalWidth);
  }

  /** Waits until nothing is running: the Create button can be pressed again. */
  async waitUntilEnded() {
    await this.page.locator("#create:not([aria-disabled])").waitFor({ timeout: PICTURE_TIMEOUT_MS });
  }

  /** Waits until a prediction has an id, so that the vendor has it. */
  async waitUntilMaking() {
    await this.page.getByText("Making your picture…").waitFor({ timeout: PICTURE_TIMEOUT_MS });
  }

  /** Waits for the error message and returns its text. */
  async problemText() {
    await this.problem.waitFor({ timeout: PICTURE_TIMEOUT_MS });
    return this.problem.innerText();
  }

  async says() {
    return `${await this.status.innerText()} ${await this.page.locator("#problem").textContent()}`;
  }

  close() {
    return this.context.close();
  }
}

/** Opens the demo, hands it to `use`, and closes it whatever happens. */
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
