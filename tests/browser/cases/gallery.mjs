// The user's gallery: pictures are kept, shown again and removed, are the same in every tab, and survive a reload.
import assert from "node:assert/strict";
import { beginLong, onDemo, SLOW, withPace } from "../page.mjs";

const creates = async ({ simulator }, next) => (await simulator.vendorRequests(next)).filter(({ route }) => route === "create");

export default [
  [
    "for a new user, the page asks for no pictures and says where they will be",
    onDemo(async (demo) => {
      assert.equal(await demo.page.getByText("Pictures that you create appear here").isVisible(), true);
      assert.deepEqual(await demo.gallery(0), []);
      await demo.page.waitForLoadState("networkidle");
      assert.deepEqual(demo.recorder.answers.filter(({ url }) => url.includes("/v1/predictions")), []);
    }),
  ],
  [
    "pictures survive a reload and can be shown large again",
    onDemo(async (demo) => {
      await demo.submit("A quiet garden");
      await demo.pictureWidth();
      await demo.submit("A loud garden");
      await demo.pictureWidth();
      assert.deepEqual(await demo.gallery(2), ["A loud garden", "A quiet garden"]);
      assert.equal(await demo.thumbs.first().getAttribute("aria-current"), "true");
      await demo.page.reload();
      assert.deepEqual(await demo.gallery(2), ["A loud garden", "A quiet garden"]);
      assert.equal(await demo.picture.isVisible(), false);
      await demo.page.getByRole("button", { name: "A quiet garden", exact: true }).click();
      await demo.picture.waitFor();
      assert.equal(await demo.picture.getAttribute("alt"), "A quiet garden");
      assert.equal(await demo.thumbs.nth(1).getAttribute("aria-current"), "true");
    }),
  ],
  [
    "after a reload, a running prediction is followed, and Cancel still works",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await withPace(stack, 8_000, async () => {
        await demo.submit("A garden at noon");
        await demo.waitUntilMaking();
      });
      await demo.page.reload();
      await demo.waitUntilMaking();
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(await demo.picture.getAttribute("alt"), "A garden at noon");
      await beginLong(demo, { stack });
      await demo.page.reload();
      await demo.waitUntilMaking();
      await demo.cancelAndWait();
      assert.equal(await demo.status.innerText(), "Canceled.");
      assert.deepEqual(await demo.gallery(2), [`Canceled ${SLOW}`, "A garden at noon"]);
      assert.equal((await creates(stack, next)).length, 2);
    }),
  ],
  [
    "a picture can be viewed while another is being made",
    onDemo(async (demo, { stack }) => {
      await demo.submit("A finished garden");
      await demo.pictureWidth();
      await beginLong(demo, { stack });
      await demo.page.getByRole("button", { name: "A finished garden", exact: true }).click();
      await demo.picture.waitFor();
      assert.equal(await demo.cancel.isVisible(), false);
      await demo.page.getByRole("button", { name: `Making ${SLOW}` }).click();
      await demo.waitUntilMaking();
      await demo.cancelAndWait();
      assert.deepEqual(await demo.gallery(2), [`Canceled ${SLOW}`, "A finished garden"]);
    }),
  ],
  [
    "two tabs show the same pictures, and what happens in one is seen in the other",
    onDemo(async (demo, { stack }) => {
      const other = await demo.anotherTab();
      await demo.submit("A garden for two");
      await demo.pictureWidth();
      assert.deepEqual(await other.gallery(1), ["A garden for two"]);
      assert.equal(await other.subject(), await demo.subject());
      const { next } = await stack.simulator.requests();
      await withPace(stack, 8_000, async () => {
        await other.submit("A second garden");
        await other.waitUntilMaking();
      });
      assert.equal((await demo.gallery(2))[0], "Making A second garden");
      await other.pictureWidth();
      await demo.page.getByRole("button", { name: "A second garden", exact: true }).waitFor();
      assert.equal((await creates(stack, next)).length, 1);
      await demo.page.getByRole("button", { name: "Remove: A second garden" }).click();
      assert.deepEqual(await demo.gallery(1), ["A garden for two"]);
      assert.deepEqual(await other.gallery(1), ["A garden for two"]);
      assert.deepEqual(demo.recorder.complaints.concat(other.recorder.complaints), []);
    }),
  ],
  [
    "a prediction canceled in one tab ends in another that follows it",
    onDemo(async (demo, { stack }) => {
      await beginLong(demo, { stack });
      const other = await demo.anotherTab();
      await other.waitUntilMaking();
      await other.cancelAndWait();
      assert.equal(await other.status.innerText(), "Canceled.");
      await demo.waitUntilEnded();
      assert.equal(await demo.status.innerText(), "Canceled.");
      for (const tab of [demo, other]) assert.deepEqual(await tab.gallery(1), [`Canceled ${SLOW}`]);
      assert.equal(await demo.problem.isVisible(), false);
    }),
  ],
  [
    "a removed picture leaves the page, stays removed after a reload, and the focus is not lost",
    onDemo(async (demo) => {
      for (const prompt of ["One", "Two"]) {
        await demo.submit(prompt);
        await demo.pictureWidth();
      }
      await demo.page.getByRole("button", { name: "Remove: Two" }).click();
      assert.deepEqual(await demo.gallery(1), ["One"]);
      assert.equal(await demo.picture.isVisible(), false);
      assert.equal(await demo.status.innerText(), "Removed.");
      assert.equal(await demo.page.evaluate(() => document.activeElement?.title), "One");
      await demo.page.reload();
      assert.deepEqual(await demo.gallery(1), ["One"]);
    }),
  ],
  [
    "older pictures are loaded page by page",
    onDemo(async (demo, { stack }) => {
      await demo.submit("The oldest");
      await demo.pictureWidth();
      const token = await stack.simulator.token(await demo.subject());
      await withPace(stack, 1, async () => {
        const predictions = Array.from({ length: 13 }, (_, index) => ({ model: "black-forest-labs/flux-kontext-max", input: { prompt: `Garden ${index}` } }));
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
        const answer = await fetch(`${stack.origin}/v1/predictions/batch`, { method: "POST", headers, body: JSON.stringify({ predictions }) });
        assert.equal(answer.status, 202, await answer.clone().text());
        // No prediction may still run when the next test starts.
        const goesOn = async () => (await (await fetch(`${stack.origin}/v1/predictions`, { headers })).json()).data.some(({ completed_at: end }) => end === null);
        while (await goesOn()) await demo.page.waitForTimeout(200);
        await demo.page.reload();
        await demo.gallery(12);
        await demo.page.getByRole("button", { name: "Show more" }).press("Enter");
        const names = await demo.gallery(14);
        assert.equal(names.at(-1), "The oldest");
        assert.equal(await demo.page.getByRole("button", { name: "Show more" }).isVisible(), false);
        assert.equal(await demo.page.evaluate(() => document.activeElement.title), "The oldest");
      });
    }),
  ],
  [
    "a gallery that cannot be loaded shows why, with the request id",
    onDemo(async (demo) => {
      await demo.submit("A garden");
      await demo.pictureWidth();
      const error = { type: "api_error", message: "-", code: "misconfigured", request_id: "req_of_this_test" };
      await demo.page.route((url) => url.pathname === "/v1/predictions", (route) => route.fulfill({ status: 503, json: { error } }));
      await demo.page.reload();
      const problem = demo.page.locator("#gallery-problem");
      await problem.waitFor();
      const text = await problem.innerText();
      assert.match(text, /^This service is not set up correctly\.[^]*req_of_this_test/);
    }),
  ],
];
