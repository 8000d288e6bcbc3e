// axe-core finds no violation in any state of the page, light and dark, on phones and on a desktop.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { onDemo, SLOW, withPace } from "../page.mjs";
import { oneAtATime, PIXEL } from "./journey.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 }, small: { width: 320, height: 568 } };

async function assertAccessible({ page }, state) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(found, [], state);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${state}: wider than the screen by ${overflow} px`);
}

function everyState(screen, colorScheme) {
  // The page's content security policy blocks axe, as it should; the policy is not under test here.
  const options = { viewport: SCREENS[screen], colorScheme, bypassCSP: true, reducedMotion: "reduce" };
  return oneAtATime(async (demo, { stack }) => {
    await assertAccessible(demo, "empty");
    await demo.create.click();
    await assertAccessible(demo, "no prompt");
    await demo.file.setInputFiles({ ...PIXEL, mimeType: "text/plain" });
    await assertAccessible(demo, "no picture");

    const upload = new Promise((resolve) => demo.page.route((url) => url.pathname === "/v1/files", resolve));
    await demo.file.setInputFiles(PIXEL);
    await demo.submit(SLOW);
    await demo.waitUntilSaid("Uploading your picture…");
    await assertAccessible(demo, "uploading");
    await withPace(stack, 12_000, async () => {
      await (await upload).continue();
      await demo.waitUntilMaking();
    });
    await assertAccessible(demo, "making");

    const other = await demo.anotherTab();
    await other.submit("A picture with a very long description ".repeat(12));
    await other.waitUntilSaid("Waiting: ");
    await assertAccessible(other, "queued");
    await other.context.setOffline(true);
    await other.waitUntilSaid("You are offline.");
    await assertAccessible(other, "offline");
    await other.context.setOffline(false);
    await demo.cancelAndWait();
    await other.pictureWidth();
    await assertAccessible(other, "picture");

    await stack.simulator.failOnce("create", { status: 409 });
    await demo.submit("A garden");
    await demo.problemText();
    await demo.gallery(3);
    await assertAccessible(demo, "error, and a gallery of every kind");
    const error = { type: "api_error", message: "-", code: "limiter_unavailable", request_id: "req_of_this_test" };
    await demo.page.route((url) => url.pathname.startsWith("/v1/predictions/pred_"), (route) => route.fulfill({ status: 503, headers: { "retry-after": "180" }, json: { error } }));
    await demo.page.locator("#gallery-list .remove:visible").first().click();
    await demo.page.locator("#gallery-problem").waitFor();
    await assertAccessible(demo, "an error of the gallery");
  }, options);
}

export default [
  ["axe finds no violation on a phone in light", everyState("phone", "light")],
  ["axe finds no violation on a small phone in dark", everyState("small", "dark")],
  ["axe finds no violation on a desktop in light", everyState("desktop", "light")],
  ["axe finds no violation on a desktop in dark", everyState("desktop", "dark")],
  ...["reduce", "no-preference"].map((reducedMotion) => [
    `motion while a picture is made follows prefers-reduced-motion (${reducedMotion})`,
    onDemo(async (demo) => {
      await demo.submit("A serene Japanese garden");
      await demo.waitUntilMaking();
      await demo.gallery(1);
      const moving = await demo.page.evaluate(() => document.getAnimations().length > 0);
      assert.equal(moving, reducedMotion === "no-preference");
      await demo.waitUntilEnded();
    }, { reducedMotion }),
  ]),
];
