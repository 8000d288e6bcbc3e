// The operator's page with the Worker's own API, from a sign-in to the audit log.
import assert from "node:assert/strict";
import { scan } from "../../support/key-scan.mjs";
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

/** Runs a prediction of a user to its end. */
async function makePicture({ origin, simulator }, subject, prompt) {
  const authorization = `Bearer ${await simulator.token(subject)}`;
  const created = await fetch(`${origin}/v1/${MODEL}/predictions`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json", prefer: "wait=30" },
    body: JSON.stringify({ input: { prompt } }),
  });
  assert.equal((await created.json()).status, "succeeded");
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
      await page.button("Pause creates").click();
      await page.dialog.getByRole("textbox", { name: /^Model/ }).fill("acme/unknown");
      await page.dialog.getByRole("button", { name: "Pause" }).click();
      await page.dialog.getByText("The service did not accept this model.").waitFor();
      assert.deepEqual(page.recorder.complaints.filter((text) => !/status of 40[01]/.test(text)), []);
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
  [
    "operators, for real: a user is looked up, limited, exported and deleted",
    forReal(async (page, world) => {
      const { origin, simulator } = world.stack;
      const authorization = `Bearer ${await simulator.token("somebody")}`;
      const create = () => fetch(`${origin}/v1/${MODEL}/predictions`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json", prefer: "wait=30" },
        body: JSON.stringify({ input: { prompt: "A garden" } }),
      });
      const { job_id: id } = await (await create()).json();
      await signIn(page, world, "boss");
      await page.page.getByLabel("Issuer").fill("http://127.0.0.1/demo");
      await page.page.getByLabel("Subject").fill("somebody");
      await page.button("Look up").click();
      await page.button("Set limits").click();
      await page.dialog.getByRole("textbox", { name: "Predictions a minute" }).fill("0");
      await page.dialog.getByRole("textbox", { name: "Credits a day" }).fill("12.5");
      await page.confirm("Set the limits");
      assert.equal((await create()).status, 429);
      await page.button("Plan’s limits").click();
      await page.confirm("Remove the user’s own limits");
      assert.equal((await create()).status, 201);
      await page.button("Cancel predictions").click();
      await page.confirm("Cancel them");
      await page.button("Export").click();
      const saved = page.page.waitForEvent("download");
      await page.confirm("Save the file");
      const chunks = [];
      for await (const chunk of await (await saved).createReadStream()) chunks.push(chunk);
      const { predictions, next_cursor: next } = JSON.parse(Buffer.concat(chunks).toString());
      assert.deepEqual([predictions.length, predictions.at(-1).job_id, next], [2, id, null]);
      await page.button("Delete").click();
      await page.confirm("Delete the user");
      await assertAudit(page, ["delete_user", "cancel_user", "remove_limits", "set_limits"]);
      await page.button("Look up").click();
      await page.button("Revoke tokens").click();
      await page.confirm("Revoke the tokens");
      await assertAudit(page, ["revoke_user"]);
    }),
  ],
  [
    "operators, for real: an alert of the Dispatcher is shown without a reload",
    forReal(async (page, world) => {
      const { simulator } = world.stack;
      await signIn(page, world, "boss");
      await simulator.failOnce("get", { merge: { status: "succeeded", credits_used: -1 } });
      await makePicture(world.stack, "odd", "A garden");
      await page.page.locator("#alerts li").filter({ hasText: "unreadable_cost" }).waitFor();
      assert.equal(await page.page.locator("#alerts-empty").isVisible(), false);
    }),
  ],
  [
    "operators, for real: spend, and no piece of the vendor key in anything that the page receives or holds",
    forReal(async (page, world) => {
      const { vendorKey } = world.stack;
      await makePicture(world.stack, "spender", "A secret garden");
      await signIn(page, world, "boss");
      // Users of other tests have spent credits too.
      await page.page.locator("#users li").filter({ hasText: "2.5 credits, 1 prediction" }).first().waitFor();
      assert.ok(Number(await page.page.locator("#tile-today .figure").innerText()) >= 2.5);
      assert.match(await page.page.locator("#tile-today .note").innerText(), /^for [1-9]\d* predictions?, /);
      assert.match(await page.page.locator("#chart-spend").getByRole("img").getAttribute("aria-label"), /^Credits: [1-9][\d.]* on /);
      const records = await page.recorder.everything();
      assert.deepEqual(scan(vendorKey, records), []);
      const state = records.filter(({ what, content }) => /^body of GET \S+admin\/api\/state$/.test(what) && content.length > 100);
      assert.ok(state.length > 0, "the state is in the record");
      assert.equal(records.some(({ content }) => Buffer.from(content).includes("A secret garden")), false);
    }),
  ],
];
