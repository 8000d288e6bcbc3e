// The error messages that the page shows to a user.
import assert from "node:assert/strict";
import { beginLong, onDemo } from "../page.mjs";

const PROMPT = "A serene Japanese garden";
const REQUEST_ID = /Request id\s+\S{10,}/;

const isSession = (url) => url.pathname === "/session";
const isCreate = (url) => url.pathname.endsWith("/predictions");

export default [
  [
    "an empty prompt is refused by the page, and nothing is sent",
    onDemo(async (demo) => {
      await demo.submit("   ");
      await demo.page.getByText("Describe the picture first.").waitFor();
      assert.equal(await demo.prompt.getAttribute("aria-invalid"), "true");
      assert.equal(await demo.page.evaluate(() => document.activeElement?.id), "prompt");
      assert.deepEqual(demo.recorder.answers.filter(({ url }) => url.startsWith("POST ") && url.includes("/v1/")), []);
      await demo.prompt.fill("x");
      assert.equal(await demo.prompt.getAttribute("aria-invalid"), null);
    }),
  ],
  [
    "a 502 is shown with its sentence and request id, and the next try works",
    onDemo(async (demo, { stack }) => {
      await stack.simulator.failOnce("create", { status: 409 });
      const answered = demo.page.waitForResponse((response) => isCreate(new URL(response.url())));
      await demo.submit(PROMPT);
      const answer = await answered;
      assert.equal(answer.status(), 502);
      const text = await demo.problemText();
      assert.match(text, /^The picture service refused this request\./);
      assert.ok(text.includes((await answer.json()).error.request_id), text);
      await demo.create.click();
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(await demo.problem.isVisible(), false);
    }),
  ],
  [
    "a create that failed at the vendor is shown, and the next press makes another one at once",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await stack.simulator.failOnce("create", { status: 500, body: '{"error":{"type":"api_error","code":"OVERLOADED","message":"-"}}' });
      await demo.submit(PROMPT);
      const text = await demo.problemText();
      assert.match(text, /^The picture service failed\./);
      assert.match(text, REQUEST_ID);
      await demo.create.click();
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 2);
    }),
  ],
  [
    "a failed prediction is shown as failed, also after a reload",
    onDemo(async (demo) => {
      await demo.submit("A garden [fail]");
      const text = await demo.problemText();
      assert.match(text, /^The picture service could not finish this picture\./);
      assert.match(text, REQUEST_ID);
      await demo.page.reload();
      await demo.page.getByRole("button", { name: "Failed A garden [fail]" }).click();
      const again = await demo.problemText();
      assert.match(again, /^The picture service could not finish this picture\./);
      assert.match(again, REQUEST_ID);
    }),
  ],
  [
    "an input that the vendor refuses is told apart from wrong settings",
    onDemo(async (demo, { stack }) => {
      await stack.simulator.failOnce("create", { status: 422, body: '{"error":{"type":"invalid_request_error","code":"MODERATED","message":"-"}}' });
      await demo.submit("A garden that the vendor does not like");
      const text = await demo.problemText();
      assert.match(text, /^The picture service did not accept this description or picture\./);
      assert.match(text, REQUEST_ID);
    }),
  ],
  [
    "a failed cancel is shown until the next one works",
    onDemo(async (demo, { stack }) => {
      await beginLong(demo, { stack });
      const error = { type: "api_error", message: "-", code: "misconfigured", request_id: "req_of_this_test" };
      await demo.page.route((url) => url.pathname.endsWith("/cancel"), (route) => route.fulfill({ status: 503, json: { error } }), { times: 1 });
      await demo.cancel.click();
      assert.match(await demo.problemText(), /^This service is not set up correctly\.[^]*req_of_this_test/);
      await demo.cancelAndWait();
      assert.equal(await demo.problem.isVisible(), false);
      assert.equal(await demo.status.innerText(), "Canceled.");
    }),
  ],
  [
    "markup in a prompt stays text",
    onDemo(async (demo) => {
      const prompt = '<img src=x onerror="document.title=1"><b>A garden</b>';
      await demo.submit(prompt);
      await demo.pictureWidth();
      assert.equal(await demo.page.locator("#caption-text").innerText(), prompt);
      assert.equal(await demo.picture.getAttribute("alt"), prompt);
      assert.deepEqual(demo.recorder.complaints, []);
    }),
  ],
  [
    "a refused token is replaced once, and a second refusal is shown",
    onDemo(async (demo) => {
      const refusals = { body: JSON.stringify({ error: { code: "invalid_token", request_id: "req_of_this_test" } }), status: 401 };
      // The page has its first token.
      await demo.page.waitForLoadState("networkidle");
      let sessions = 0;
      await demo.page.route(isSession, (route) => {
        if (route.request().method() === "POST") sessions += 1;
        return route.continue();
      });
      await demo.page.route(isCreate, (route) => route.fulfill(refusals), { times: 1 });
      await demo.submit(PROMPT);
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(sessions, 1);
      await demo.page.route(isCreate, (route) => route.fulfill(refusals), { times: 2 });
      await demo.create.click();
      const text = await demo.problemText();
      assert.match(text, /^Your session was not accepted\./);
      assert.match(text, /req_of_this_test/);
    }),
  ],
  [
    "an app backend that is down is told apart from the service",
    onDemo(async (demo) => {
      await demo.page.route(isSession, (route) => route.abort());
      // Without the token that the page has.
      await demo.page.reload();
      await demo.submit(PROMPT);
      assert.match(await demo.problemText(), /own server did not hand out a session token/);
    }),
  ],
  [
    "a picture that cannot be loaded is an error, not a broken image",
    onDemo(async (demo) => {
      await demo.page.route((url) => url.pathname.startsWith("/outputs/"), (route) => route.abort());
      await demo.submit(PROMPT);
      const text = await demo.problemText();
      assert.match(text, /^The picture was made, but it could not be loaded\./);
      assert.match(text, REQUEST_ID);
      assert.equal(await demo.picture.isVisible(), false);
    }),
  ],
];
