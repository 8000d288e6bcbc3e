// axe-core finds nothing, in every state of the page, light and dark, on a phone and on a desktop.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { onDemo } from "../page.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENS = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 }, small: { width: 320, height: 568 } };

async function assertAccessible(demo, state) {
  const { violations } = await demo.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(found, [], state);
  const overflow = await demo.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${state}: wider than the screen by ${overflow} px`);
}

function everyState(screen, colorScheme) {
  // The policy of the page must not let axe in; it is no part of what is tested here.
  const options = { viewport: SCREENS[screen], colorScheme, bypassCSP: true, reducedMotion: "reduce" };
  return onDemo(async (demo, { stack }) => {
    await demo.page.evaluate(AXE);
    await assertAccessible(demo, "empty");
    await demo.create.click();
    await assertAccessible(demo, "no prompt");
    await demo.submit("A garden in all four seasons [slow]");
    await demo.waitUntilMaking();
    await assertAccessible(demo, "making");
    await demo.cancel.click();
    await demo.waitUntilEnded();
    await stack.simulator.failOnce("create", { status: 409 });
    await demo.submit("A garden");
    await demo.problemText();
    await assertAccessible(demo, "error");
    await demo.submit("A serene Japanese garden");
    await demo.pictureWidth();
    await assertAccessible(demo, "picture");
  }, options);
}

export default [
  ["axe finds nothing on a phone in light", everyState("phone", "light")],
  ["axe finds nothing on a small phone in dark", everyState("small", "dark")],
  ["axe finds nothing on a desktop in light", everyState("desktop", "light")],
  ["axe finds nothing on a desktop in dark", everyState("desktop", "dark")],
  ...["reduce", "no-preference"].map((reducedMotion) => [
    `motion while a picture is made follows the person's wish (${reducedMotion})`,
    onDemo(async (demo) => {
      await demo.submit("A serene Japanese garden");
      await demo.cancel.waitFor();
      const moving = await demo.page.evaluate(() => document.getAnimations().length > 0);
      assert.equal(moving, reducedMotion === "no-preference");
      await demo.waitUntilEnded();
    }, { reducedMotion }),
  ]),
];
