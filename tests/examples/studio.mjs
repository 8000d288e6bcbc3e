// The page of examples/web and examples/react as a user sees it: both have the same fields, buttons and sentences.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { openRecorded } from "../support/browser.mjs";
import { scan } from "../support/key-scan.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENSHOTS = resolve(import.meta.dirname, "../../dist/screenshots");
const PATIENCE_MS = 30_000;
/** Chromium logs each failed request to the console by itself. */
const OWN_WORDS = /^Failed to load resource/;

export class Studio {
  constructor({ context, page, recorder }) {
    this.context = context;
    this.page = page;
    this.recorder = recorder;
    this.prompt = page.getByLabel("Description");
    this.create = page.getByRole("button", { name: "Create" });
    this.cancel = page.getByRole("button", { name: "Cancel" });
    this.status = page.getByRole("status");
    this.problem = page.getByRole("alert");
    this.picture = page.locator("img");
  }

  static async open(browser, origin, options) {
    return new Studio(await openRecorded(browser, origin, options));
  }

  async submit(prompt) {
    await this.prompt.fill(prompt);
    await this.create.click();
  }

  async waitFor(text) {
    await this.page.getByText(text).waitFor({ timeout: PATIENCE_MS });
  }

  async pictureWidth() {
    await this.picture.waitFor({ timeout: PATIENCE_MS });
    await this.picture.evaluate((picture) => picture.decode());
    return this.picture.evaluate((picture) => picture.naturalWidth);
  }

  focused() {
    return this.page.evaluate(() => document.activeElement.textContent);
  }

  async problemText() {
    await this.problem.waitFor({ timeout: PATIENCE_MS });
    return this.problem.innerText();
  }

  async assertAccessible(state) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("; ")}`), [], state);
  }

  screenshot(name) {
    return this.page.screenshot({ path: join(SCREENSHOTS, `example-${name}.png`) });
  }

  /** Asserts no exception, no violation of the content security policy, and no piece of the vendor key anywhere. */
  async assertClean(vendorKey) {
    assert.deepEqual(this.recorder.complaints.filter((text) => !OWN_WORDS.test(text)), []);
    assert.deepEqual(scan(vendorKey, await this.recorder.everything()), []);
  }
}

/** Returns the tests that every page has to pass. `open` opens the page. */
export function journeys(name, open) {
  const on = (use, options) => async (world) => {
    const studio = await open(world, options);
    try {
      await use(studio, world);
      await studio.assertClean(world.stack.vendorKey);
    } finally {
      await studio.context.close();
    }
  };
  return [
    [
      `${name}: a prompt becomes a picture, made once`,
      on(async (studio, { stack }) => {
        const { next } = await stack.simulator.requests();
        await studio.submit("A serene Japanese garden");
        await studio.waitFor("Making your picture…");
        assert.ok((await studio.pictureWidth()) > 0);
        const requests = await stack.simulator.vendorRequests(next);
        assert.equal(requests.filter(({ route }) => route === "create").length, 1);
      }),
    ],
    [
      `${name}: Cancel cancels a running prediction`,
      on(async (studio) => {
        await studio.submit("A garden in all four seasons [slow]");
        await studio.waitFor("Making your picture…");
        await studio.cancel.click();
        await studio.waitFor("Canceled.");
        assert.equal(await studio.problem.isVisible(), false);
        assert.equal(await studio.create.isEnabled(), true);
      }),
    ],
    [
      `${name}: a lost response is shown as lost, and the next press makes nothing twice`,
      on(async (studio, { stack }) => {
        const { next } = await stack.simulator.requests();
        let isSent = false;
        await studio.page.route(/\/v1\/.*\/predictions$/, async (route) => {
          if (!isSent) await route.fetch();
          isSent = true;
          await route.abort();
        });
        await studio.submit("A garden whose answer is lost");
        assert.equal(await studio.problemText(), "There was no response. Try again. No second picture will be created.");
        await studio.page.unrouteAll({ behavior: "wait" });
        await studio.create.click();
        assert.ok((await studio.pictureWidth()) > 0);
        assert.equal(await studio.status.innerText(), "Your picture is ready.");
        await studio.submit("A garden whose answer is lost");
        await studio.waitFor("Making your picture…");
        assert.ok((await studio.pictureWidth()) > 0);
        // The third press makes another picture: an answered request is not repeated.
        const creates = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create");
        assert.equal(creates.length, 2);
      }),
    ],
    [
      `${name}: the keyboard focus is never lost`,
      on(async (studio) => {
        await studio.prompt.fill("A garden in all four seasons [slow]");
        await studio.create.press("Enter");
        await studio.waitFor("Making your picture…");
        assert.equal(await studio.focused(), "Create");
        await studio.cancel.press("Enter");
        await studio.waitFor("Canceled.");
        assert.equal(await studio.focused(), "Create");
      }),
    ],
    [
      `${name}: a failure is shown as a sentence, a refusal with its request id`,
      on(async (studio, { stack }) => {
        await studio.submit("A garden [fail]");
        assert.match(await studio.problemText(), /^The picture was not created: /);
        await stack.simulator.failOnce("create", { status: 409 });
        await studio.submit("A garden");
        await studio.waitFor(/\(request req_\w+\)/);
      }),
    ],
    ...["light", "dark"].map((colorScheme) => [
      `${name}: axe finds no violation in ${colorScheme}`,
      // The page's content security policy blocks axe, as it should; the policy is not under test here.
      on(async (studio) => {
        await studio.assertAccessible("empty");
        await studio.submit("A garden [fail]");
        await studio.problemText();
        await studio.assertAccessible("error");
        await studio.submit("A serene Japanese garden");
        await studio.pictureWidth();
        await studio.assertAccessible("picture");
        await studio.screenshot(`${name}-${colorScheme}`);
      }, { bypassCSP: true, colorScheme, viewport: { width: 720, height: 900 } }),
    ]),
  ];
}
