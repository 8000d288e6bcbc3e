// The features around a picture: examples, price and credits, download, another try, and what just happened.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { beginLong, DemoPage, onDemo } from "../page.mjs";
import { signFor } from "../tokens.mjs";

const PROMPT = "A serene Japanese garden";
const WIDTHS = [320, 360, 390, 430];

const isCreate = (url) => url.pathname.endsWith("/predictions");
const withClipboard = { permissions: ["clipboard-read", "clipboard-write"] };
const clipboard = ({ page }) => page.evaluate(() => navigator.clipboard.readText());

/**
 * Returns the paragraphs whose last line is a single short word. Runs in the page. A line is found by the rectangles of the
 * words, because a browser does not tell where it breaks lines.
 */
function orphans() {
  const found = [];
  for (const element of document.querySelectorAll("p, h1, h2, h3, label, legend, summary, figcaption span")) {
    if (element.offsetParent === null || element.querySelector("button, input") !== null) continue;
    const words = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      for (const { index, 0: word } of walker.currentNode.textContent.matchAll(/\S+/g)) {
        const range = document.createRange();
        range.setStart(walker.currentNode, index);
        range.setEnd(walker.currentNode, index + word.length);
        const box = range.getBoundingClientRect();
        if (box.width > 0) words.push({ word, bottom: Math.round(box.bottom), isShort: box.width < element.clientWidth / 2 });
      }
    }
    const last = Math.max(...words.map(({ bottom }) => bottom));
    const lastLine = words.filter(({ bottom }) => last - bottom < 8);
    if (lastLine.length === 1 && lastLine[0].isShort && words.length > 2) found.push(`${element.id || element.className || element.tagName}: … ${lastLine[0].word}`);
  }
  // A row of buttons leaves none alone on its last line either.
  for (const row of document.querySelectorAll(".buttons, .actions")) {
    const tops = [...row.children].filter(({ offsetParent }) => offsetParent !== null).map((child) => Math.round(child.getBoundingClientRect().top));
    const lines = tops.filter((top) => Math.abs(top - Math.max(...tops)) < 12);
    if (tops.length > 2 && lines.length === 1) found.push(`${row.id || row.className}: one button alone`);
  }
  return found;
}

export default [
  [
    "an example fills the description and starts nothing",
    onDemo(async (demo) => {
      const example = demo.page.getByRole("button", { name: "A lighthouse in the fog, oil on canvas" });
      await demo.create.click();
      await example.click();
      assert.equal(await demo.prompt.inputValue(), "A lighthouse in the fog, oil on canvas");
      assert.equal(await demo.prompt.getAttribute("aria-invalid"), null);
      assert.equal(await demo.page.evaluate(() => document.activeElement?.id), "prompt");
      assert.deepEqual(demo.recorder.answers.filter(({ url }) => url.startsWith("POST ") && url.includes("/v1/")), []);
    }),
  ],
  [
    "the page says at once that a stand-in plays the vendor",
    onDemo(async (demo) => {
      await demo.page.getByText("A stand-in plays the vendor here.").waitFor();
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      assert.equal(await demo.page.getByText("Drawn by a stand-in for the vendor, whatever the description says.").isVisible(), true);
    }),
  ],
  [
    "price and credits are shown before a create, and the credits after it",
    onDemo(async (demo) => {
      const credits = demo.page.locator("#credits");
      await credits.filter({ hasText: "A picture costs up to 2.5 credits. You have 500 of today’s 500 left." }).waitFor();
      assert.equal(await demo.create.getAttribute("aria-describedby"), "credits");
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      await credits.filter({ hasText: "You have 497.5 of today’s 500 left." }).waitFor();
    }),
  ],
  [
    "the form offers only what the model takes, and sends nothing else",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      const model = { id: "black-forest-labs/flux-kontext-max", credits: "2.5", input: { prompt: { type: "string", required: true } } };
      await demo.page.route((url) => url.pathname === "/v1/models", (route) => route.fulfill({ json: { data: [model] } }));
      await demo.page.reload();
      await demo.page.locator("#credits").filter({ hasText: "2.5" }).waitFor();
      assert.deepEqual([await demo.file.isVisible(), await demo.page.getByText("Shape", { exact: true }).isVisible()], [false, false]);
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      const create = (await stack.simulator.vendorRequests(next)).find(({ route }) => route === "create");
      assert.deepEqual(JSON.parse(create.body).input, { prompt: PROMPT });
    }),
  ],
  [
    "a picture is downloaded under the name of its description",
    onDemo(async (demo) => {
      await demo.submit(PROMPT);
      const width = await demo.pictureWidth();
      const [file] = await Promise.all([demo.page.waitForEvent("download"), demo.page.getByRole("button", { name: "Download" }).click()]);
      assert.equal(file.suggestedFilename(), "a-serene-japanese-garden.png");
      const bytes = readFileSync(await file.path());
      assert.deepEqual([bytes.toString("latin1", 1, 4), bytes.readUInt32BE(16)], ["PNG", width]);
      assert.deepEqual(demo.recorder.complaints, []);
    }),
  ],
  [
    "a picture whose server lets no page read it is to be saved from its own page",
    onDemo(async (demo) => {
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      await demo.page.route((url) => url.pathname.startsWith("/outputs/"), (route) => route.abort());
      await demo.page.getByRole("button", { name: "Download" }).click();
      await demo.waitUntilSaid("Open it in full size, and save it from there.");
    }),
  ],
  [
    "the prompt of a picture can be used again, with its shape",
    onDemo(async (demo) => {
      await demo.page.getByLabel("Wide").check();
      await demo.submit(PROMPT);
      await demo.pictureWidth();
      await demo.page.getByLabel("Square").check();
      await demo.prompt.fill("Another one");
      await demo.page.getByRole("button", { name: "Use this prompt again" }).click();
      assert.equal(await demo.prompt.inputValue(), PROMPT);
      assert.equal(await demo.page.getByLabel("Wide").isChecked(), true);
      assert.equal(await demo.page.evaluate(() => document.activeElement?.id), "prompt");
    }),
  ],
  [
    "after a failure the same picture is tried again, whatever the form says now",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await stack.simulator.failOnce("create", { status: 500, body: '{"error":{"type":"api_error","code":"OVERLOADED","message":"-"}}' });
      await demo.submit(PROMPT);
      await demo.problemText();
      await demo.prompt.fill("Another one");
      const again = demo.problem.getByRole("button", { name: "Try again" });
      await again.focus();
      await demo.page.keyboard.press("Enter");
      assert.ok((await demo.pictureWidth()) > 0);
      assert.equal(await demo.picture.getAttribute("alt"), PROMPT);
      assert.notEqual(await demo.page.evaluate(() => document.activeElement?.tagName), "BODY", "the focus is not lost");
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 2);
    }),
  ],
  [
    "a failure that would cost twice or repeat itself offers no other try",
    onDemo(async (demo) => {
      const error = { type: "payment_error", message: "-", code: "insufficient_credits", request_id: "req_of_this_test" };
      await demo.page.route(isCreate, (route) => route.fulfill({ status: 402, json: { error } }));
      await demo.submit(PROMPT);
      assert.match(await demo.problemText(), /^You have used up your credits for now\./);
      assert.equal(await demo.problem.getByRole("button", { name: "Try again" }).count(), 0);
    }),
  ],
  [
    "a picture from the gallery that failed is tried again with its own prompt",
    onDemo(async (demo, { stack }) => {
      await demo.submit("A garden [fail]");
      await demo.problemText();
      await demo.page.reload();
      await demo.page.getByRole("button", { name: "Failed A garden [fail]" }).click();
      await demo.problemText();
      const { next } = await stack.simulator.requests();
      await demo.problem.getByRole("button", { name: "Try again" }).click();
      await demo.gallery(2);
      const create = (await stack.simulator.vendorRequests(next)).find(({ route }) => route === "create");
      assert.equal(JSON.parse(create.body).input.prompt, "A garden [fail]");
    }),
  ],
  [
    "the request id of a failure is copied",
    onDemo(async (demo, { stack }) => {
      await stack.simulator.failOnce("create", { status: 409 });
      await demo.submit(PROMPT);
      const text = await demo.problemText();
      await demo.problem.getByRole("button", { name: "Copy the request id" }).click();
      await demo.problem.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await demo.page.locator("#announcement").innerText(), "Copied");
      const copied = await clipboard(demo);
      assert.match(copied, /^req_/);
      assert.ok(text.includes(copied));
    }, withClipboard),
  ],
  [
    "without a clipboard the request id is selected instead",
    onDemo(async (demo, { stack }) => {
      await demo.page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
      await stack.simulator.failOnce("create", { status: 409 });
      await demo.submit(PROMPT);
      await demo.problemText();
      await demo.problem.getByRole("button", { name: "Copy the request id" }).click();
      await demo.problem.getByRole("button", { name: "Press Ctrl C to copy" }).waitFor();
      assert.match(await demo.page.evaluate(() => getSelection().toString()), /^req_/);
    }),
  ],
  [
    "the panel shows the token's claims and its remaining minutes",
    (world) => onDemo(async (demo) => {
      await demo.page.getByRole("heading", { name: "What just happened" }).waitFor();
      const claims = await demo.page.locator("#claims").innerText();
      for (const claim of [/sub\s+demo-[0-9a-f]{16}/, /plan\s+slow/, /aud\s+demo/, /exp\s+\d+:\d\d:\d\d/]) assert.match(claims, claim);
      await demo.page.locator("#token-left").filter({ hasText: /^It expires in 0:(0\d|1[0-2]) minutes\.$/ }).waitFor();
      await demo.page.locator("#token-left").filter({ hasText: "It has expired." }).waitFor();
    }, { prepare: (context) => signFor(context, world.stack, { plan: "slow", lifetimeSecs: 12 }) })(world),
  ],
  [
    "the panel shows the request as a command that works, without the token unless one asks for it",
    onDemo(async (demo, { stack }) => {
      const sent = demo.page.waitForRequest((request) => isCreate(new URL(request.url())) && request.method() === "POST");
      await demo.submit("It's a garden");
      const request = await sent;
      await demo.pictureWidth();
      const token = request.headers()["authorization"].replace("Bearer ", "");
      const curl = demo.page.locator("#curl");
      assert.ok((await curl.innerText()).includes('-H "Authorization: Bearer $TOKEN"'));
      assert.equal((await demo.page.content()).includes(token), false, "the token is not in the document");
      await demo.page.getByRole("button", { name: "Show the token in it" }).click();
      assert.ok((await curl.innerText()).includes(token));
      // The same request again returns the same picture, and costs nothing.
      const { next } = await stack.simulator.requests();
      await demo.page.locator("#curl-copy").click();
      const answer = execFileSync("sh", ["-c", (await clipboard(demo)).replace(/^curl/, "curl -s")], { encoding: "utf8" });
      assert.deepEqual(JSON.parse(answer).status, "succeeded");
      assert.deepEqual((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create"), []);
      await demo.page.getByRole("button", { name: "Hide the token" }).click();
      assert.equal((await demo.page.content()).includes(token), false);
    }, withClipboard),
  ],
  [
    "the panel shows the events as they come, and where the key is",
    onDemo(async (demo, { stack }) => {
      const events = demo.page.locator("#events li");
      await beginLong(demo, { stack }, PROMPT);
      assert.match((await events.allInnerTexts()).join("\n"), /\d\.\d s\s+processing\s+the vendor has it/);
      await demo.cancelAndWait();
      const lines = await events.allInnerTexts();
      assert.match(lines.at(-1), /canceled/);
      await demo.page.getByText("As JSON").click();
      const json = await demo.page.locator("#events-json").innerText();
      assert.equal(json.match(/"status": "canceled"/g).length, 1);
      assert.equal(await demo.page.getByText("It is not here. The vendor’s API key is a secret of the Worker").isVisible(), true);
      assert.equal((await demo.page.content()).includes(stack.vendorKey), false);
    }),
  ],
  ...WIDTHS.map((width) => [
    `no line is orphaned on a phone of ${width} px`,
    async (world) => {
      const demo = await DemoPage.open(world, { viewport: { width, height: 800 }, isMobile: true, hasTouch: true });
      try {
        await demo.page.locator("#credits").filter({ hasText: "left" }).waitFor();
        assert.deepEqual(await demo.page.evaluate(orphans), [], "empty");
        await demo.submit(PROMPT);
        await demo.pictureWidth();
        assert.deepEqual(await demo.page.evaluate(orphans), [], "a picture");
        await world.stack.simulator.failOnce("create", { status: 409 });
        await demo.submit(PROMPT);
        await demo.problemText();
        assert.deepEqual(await demo.page.evaluate(orphans), [], "a failure");
      } finally {
        await demo.close();
      }
    },
  ]),
];
