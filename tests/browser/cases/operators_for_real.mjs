// The operator's page with the Worker's own API, from a sign-in to the audit log.
import assert from "node:assert/strict";
import { operatorToken, OperatorsPage } from "../operators.mjs";

const MODEL = "black-forest-labs/flux-kontext-max";

function forReal(use, options) {
  return async (world) => {
    const page = await OperatorsPage.openForReal(world, options?.(world.stack));
    try {
      await use(page, world);
    } finally {
      await page.close();
    }
  };
}

async function signIn(page, { stack }, name) {
  await page.signIn(operatorToken(stack, name));
  await page.ready();
}

/** Pauses one model by the dialog, and ends that pause again. */
async function pauseAndResume(page) {
  await page.button("Pause creates").click();
  await page.dialog.getByRole("textbox", { name: /^Model/ }).fill(MODEL);
  await page.confirm("Pause");
  await page.page.locator("#pauses li").filter({ hasText: MODEL }).waitFor();
  await page.page.locator("#pauses").getByRole("button", { name: "Resume" }).click();
  await page.confirm("Resume");
  await page.page.locator("#pauses-panel").waitFor({ state: "hidden" });
}

/** Waits until the audit log's latest actions are these. */
async function assertAudit(page, actions) {
  const shown = () => page.page.locator("#audit li .main").allInnerTexts();
  await page.settle(async () => (await shown()).slice(0, actions.length).join() === actions.join()).catch(async () => assert.deepEqual(await shown(), actions));
}

export default [
  [
    "operators, for real: with a token, pausing, resuming and the audit log",
    forReal(async (page, world) => {
      await signIn(page, world, "boss");
      assert.equal(await page.page.locator("#operator").innerText(), "boss");
      await page.page.locator("#tile-key").filter({ hasText: "Works" }).waitFor();
      await pauseAndResume(page);
      await assertAudit(page, ["resume", "pause"]);
    }),
  ],
  [
    "operators, for real: with the assertion that Cloudflare Access adds, the page writes without a token",
    forReal(async (page) => {
      await page.ready();
      await pauseAndResume(page);
      await assertAudit(page, ["resume", "pause"]);
    }, (stack) => ({ extraHTTPHeaders: { "cf-access-jwt-assertion": operatorToken(stack, "boss") } })),
  ],
  [
    "operators, for real: with the right to read there is the board without actions, and without a right nothing",
    forReal(async (page, world) => {
      await page.signIn(operatorToken(world.stack, "stranger"));
      await page.page.getByText("do not give you the right").waitFor();
      await signIn(page, world, "viewer");
      await page.page.getByText("You may read, and not write").waitFor();
      assert.equal(await page.button("Pause creates").isVisible(), false);
    }),
  ],
];
