// The demo page's purpose: a prompt becomes a picture.
import assert from "node:assert/strict";
import { beginLong, onDemo, withPace } from "../page.mjs";

const PROMPT = "A serene Japanese garden";

/** Presses Tab until the element that matches `selector` has the focus. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 32; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return;
  }
  assert.fail(`Tab never reaches ${selector}`);
}

export default [
  [
    "a prompt becomes a picture",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await demo.submit(PROMPT);
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(await demo.status.innerText(), "Your picture is ready.");
      assert.equal(await demo.picture.getAttribute("alt"), PROMPT);
      const creates = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create");
      assert.equal(creates.length, 1);
      assert.deepEqual(JSON.parse(creates[0].body).input, { prompt: PROMPT, aspect_ratio: "1:1" });
      assert.deepEqual(demo.recorder.complaints, []);
    }),
  ],
  [
    "the chosen aspect ratio is sent to the vendor",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await demo.page.getByLabel("Tall").check();
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      const create = (await stack.simulator.vendorRequests(next)).find(({ route }) => route === "create");
      assert.equal(JSON.parse(create.body).input.aspect_ratio, "9:16");
    }),
  ],
  [
    "the page works with the keyboard alone",
    onDemo(async (demo, { stack }) => {
      const { page } = demo;
      await tabTo(page, "#prompt");
      await page.keyboard.type(PROMPT);
      await tabTo(page, "#examples button");
      await tabTo(page, "#picture-file");
      await tabTo(page, "[name=aspect_ratio]");
      await page.keyboard.press("ArrowRight");
      assert.equal(await page.getByLabel("Wide").isChecked(), true);
      for (const _ of ["file", "example", "example", "example", "prompt"]) await page.keyboard.press("Shift+Tab");
      // Cancel is there for as long as it takes to get to it.
      await withPace(stack, 8_000, async () => {
        await page.keyboard.press("Control+Enter");
        await demo.waitUntilMaking();
      });
      await tabTo(page, "#cancel");
      assert.ok((await demo.pictureWidth()) > 0);
      // Cancel had the focus and is now hidden: the focus has to move to another element.
      assert.equal(await page.evaluate(() => document.activeElement?.id), "create");
      await tabTo(page, "#open");
      await tabTo(page, "#reuse");
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "prompt");
      await tabTo(page, "#download");
      await tabTo(page, "#curl-reveal");
      await tabTo(page, "summary");
      await tabTo(page, ".thumb");
      await tabTo(page, ".remove");
      await page.keyboard.press("Enter");
      await demo.gallery(0);
      assert.equal(await page.evaluate(() => document.activeElement?.id), "gallery-heading");
    }),
  ],
  [
    "Cancel cancels a running prediction at the vendor",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await beginLong(demo, { stack });
      await demo.cancel.click();
      await demo.waitUntilEnded();
      assert.equal(await demo.status.innerText(), "Canceled.");
      assert.equal(await demo.picture.isVisible(), false);
      const cancels = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "cancel");
      assert.equal(cancels.length, 1);
    }),
  ],
  [
    "the token stays in memory, and one is fetched for all requests of a visit",
    onDemo(async (demo) => {
      await demo.page.waitForLoadState("networkidle");
      const sessions = [];
      demo.page.on("request", (request) => {
        if (new URL(request.url()).pathname === "/session" && request.method() === "POST") sessions.push(request);
      });
      // The page asks for one at once, to show the price and the credits that are left.
      await demo.page.reload();
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      assert.equal(sessions.length, 1);
      const { token } = await (await sessions[0].response()).json();
      const stored = await demo.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
      assert.equal(stored.includes(token), false);
      assert.match(stored, /demo-[0-9a-f]{16}/);
    }),
  ],
];
