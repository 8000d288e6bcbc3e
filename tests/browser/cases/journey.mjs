// From an uploaded picture through the queue to a new picture, and what the page tells the user on the way.
import assert from "node:assert/strict";
import { beginLong, onDemo, SLOW, withPace } from "../page.mjs";
import { signFor } from "../tokens.mjs";

/** The smallest PNG: one pixel. */
export const PIXEL = {
  name: "pixel.png",
  mimeType: "image/png",
  buffer: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"),
};

const isUpload = (url) => url.pathname === "/v1/files";

/** A user whose plan allows one concurrent prediction, so that the others wait in the queue. */
export const oneAtATime = (use, options = {}) => (world) =>
  onDemo(use, { ...options, prepare: (context) => signFor(context, world.stack, { plan: "single" }) })(world);

export default [
  [
    "a picture is uploaded once, and its file id reaches the vendor",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await demo.file.setInputFiles(PIXEL);
      assert.equal(await demo.page.locator("#preview").evaluate((image) => image.decode().then(() => image.naturalWidth)), 1);
      await demo.page.getByLabel("Same as the picture").check();
      await demo.submit("The same at night");
      assert.ok((await demo.pictureWidth()) > 0);
      await demo.submit("The same in winter");
      await demo.pictureWidth();
      await demo.page.getByRole("button", { name: "Remove the picture to start from" }).click();
      assert.equal(await demo.page.evaluate(() => document.activeElement?.id), "picture-file");
      assert.equal(await demo.page.getByLabel("Same as the picture").isVisible(), false);
      await demo.submit("Another one");
      await demo.pictureWidth();

      const requests = await stack.simulator.vendorRequests(next);
      assert.equal(requests.filter(({ route }) => route === "files").length, 1);
      const inputs = requests.filter(({ route }) => route === "create").map(({ body }) => JSON.parse(body).input);
      assert.match(inputs[0].input_image, /^file_/);
      assert.deepEqual(inputs.map(({ input_image: image }) => image === inputs[0].input_image), [true, true, false]);
      assert.deepEqual(inputs.map(({ aspect_ratio: ratio }) => ratio), ["match_input_image", "match_input_image", "1:1"]);
      assert.deepEqual(demo.recorder.complaints, []);
    }),
  ],
  [
    "an upload shows its progress, and Cancel ends it before anything is created",
    onDemo(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      const protocol = await demo.context.newCDPSession(demo.page);
      await protocol.send("Network.enable");
      await protocol.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 200_000 });
      await demo.file.setInputFiles({ ...PIXEL, buffer: Buffer.concat([PIXEL.buffer, Buffer.alloc(2_000_000)]) });
      await demo.submit("A large picture");
      await demo.waitUntilSaid("Uploading your picture…");
      const progress = demo.page.getByLabel("Upload", { exact: true });
      await demo.page.waitForFunction(() => document.getElementById("upload-progress").value > 0.05);
      assert.ok((await progress.evaluate(({ value }) => value)) < 1);
      await demo.cancelAndWait();
      assert.equal(await demo.status.innerText(), "Canceled.");
      assert.equal(await progress.isVisible(), false);
      assert.deepEqual((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create"), []);
      assert.deepEqual(await demo.gallery(0), []);
    }),
  ],
  [
    "a file that is not a picture is refused before it is sent",
    onDemo(async (demo) => {
      await demo.file.setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
      await demo.page.getByText("This file is not a supported picture.").waitFor();
      assert.equal(await demo.file.getAttribute("aria-invalid"), "true");
      await demo.file.setInputFiles(PIXEL);
      assert.equal(await demo.file.getAttribute("aria-invalid"), null);
      assert.equal(await demo.page.getByText("This file is not a supported picture").isVisible(), false);
      await demo.page.waitForLoadState("networkidle");
      assert.deepEqual(demo.recorder.answers.filter(({ url }) => url.startsWith("POST ") && url.includes("/v1/")), []);
    }),
  ],
  [
    "a refused upload is shown with its request id, and the next try uploads again",
    onDemo(async (demo, { stack }) => {
      await demo.file.setInputFiles(PIXEL);
      const answered = demo.page.waitForResponse((response) => isUpload(new URL(response.url())));
      await stack.simulator.failOnce("files", { status: 400 });
      await demo.submit("The same at night");
      const { error } = await (await answered).json();
      const text = await demo.problemText();
      assert.match(text, /^The picture service/);
      assert.ok(text.includes(error.request_id), text);
      await demo.create.click();
      assert.ok((await demo.pictureWidth()) > 0);
    }),
  ],
  [
    "a queued prediction shows its queue position and ETA, then it is made",
    oneAtATime(async (demo, { stack }) => {
      const { next } = await stack.simulator.requests();
      await beginLong(demo, { stack });
      const other = await demo.anotherTab();
      await other.submit("The second in line");
      await other.waitUntilSaid("Waiting: ");
      assert.match(await other.status.innerText(), /^Waiting: (you are next|position \d+ in the queue)$/);
      assert.match(await other.page.locator("#time").innerText(), /^(about \d+ (s|min)|any moment now)$/);
      await withPace(stack, 8_000, async () => {
        await demo.cancelAndWait();
        await other.waitUntilMaking();
      });
      assert.match(await other.page.locator("#time").innerText(), /^\d+:\d\d$/);
      assert.ok((await other.pictureWidth()) > 0);
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 2);
    }),
  ],
  [
    "a queued prediction can be canceled, and nothing reaches the vendor",
    oneAtATime(async (demo, { stack }) => {
      await beginLong(demo, { stack });
      const { next } = await stack.simulator.requests();
      const other = await demo.anotherTab();
      await other.submit("Never made");
      await other.waitUntilSaid("Waiting: ");
      await other.cancelAndWait();
      assert.equal(await other.status.innerText(), "Canceled.");
      // The first tab hears of it from the other one, and asks for the list.
      await demo.page.getByText("Canceled Never made").waitFor();
      assert.deepEqual(await demo.gallery(2), ["Canceled Never made", `Making ${SLOW}`]);
      await demo.cancelAndWait();
      assert.deepEqual((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create"), []);
    }),
  ],
  [
    "a requested cancel is shown until the vendor has confirmed it",
    onDemo(async (demo, { stack }) => {
      await beginLong(demo, { stack });
      await stack.simulator.failOnce("cancel", { delay_ms: 1_500 });
      await demo.cancel.click();
      await demo.waitUntilSaid("Canceling…");
      assert.equal(await demo.cancel.getAttribute("aria-disabled"), "true");
      await demo.waitUntilEnded();
      assert.equal(await demo.status.innerText(), "Canceled.");
    }),
  ],
];
