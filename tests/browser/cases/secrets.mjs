// No piece of the vendor key reaches the browser.
import assert from "node:assert/strict";
import { scan } from "../../support/key-scan.mjs";
import { beginLong, onDemo } from "../page.mjs";
import { PIXEL } from "./journey.mjs";

export default [
  [
    "no piece of the vendor key is in anything that the browser receives or stores",
    onDemo(async (demo, { stack }) => {
      const { simulator, vendorKey } = stack;
      const { next } = await simulator.requests();

      // A picture from an upload, a canceled, a failed and a removed one, and a vendor that echoes our Authorization.
      await demo.file.setInputFiles(PIXEL);
      await demo.submit("A serene Japanese garden");
      await demo.pictureWidth();
      await beginLong(demo, { stack });
      await demo.cancel.click();
      await demo.waitUntilEnded();
      await demo.submit("A garden [fail]");
      await demo.problemText();
      await simulator.failOnce("create", {
        status: 400,
        body: '{"error":{"type":"invalid_request_error","code":"BAD","message":"{{authorization}} {{key:base64}} {{key:hex}}"}}',
      });
      await demo.submit("A garden that the vendor refuses");
      await demo.problemText();
      await simulator.failOnce("get", { headers: { "x-echo": "{{authorization}}" }, merge: { note: "{{key}}" } });
      await demo.submit("A garden with an echo");
      await demo.waitUntilEnded();
      await demo.page.getByRole("button", { name: "Remove: A garden [fail]" }).click();
      await demo.gallery(4);
      await demo.page.reload();
      await demo.gallery(4);
      await demo.page.evaluate(() => fetch("/v1/account").then((answer) => answer.text()));

      const records = await demo.recorder.everything();
      assert.deepEqual(scan(vendorKey, records), []);

      // The scan is not vacuous: the vendor received the key with each request …
      const requests = await simulator.vendorRequests(next);
      assert.ok(requests.length >= 6, `only ${requests.length} requests reached the vendor`);
      for (const { headers, route } of requests) {
        const authorization = headers.find(([name]) => name.toLowerCase() === "authorization")?.[1];
        assert.equal(authorization, `Bearer ${vendorKey}`, route);
      }
      // … the faults fired, so the vendor did send the key back …
      assert.deepEqual(await simulator.faultsLeft(), []);
      assert.ok(requests.some(({ status, route }) => route === "create" && status !== 200 && status !== 201));
      // … the record holds the page, its script, its picture and the API's responses …
      const holds = (pattern, bytes) => records.some(({ what, content }) => pattern.test(what) && content.length >= bytes);
      for (const pattern of [/^body of GET \S+\/$/, /^body of GET \S+demo\.js$/, /^body of GET \S+\.png$/, /^body of POST \S+predictions$/, /^body of POST \S+files$/, /^body of GET \S+events$/, /^body of GET \S+limit=12$/, /^heap$/]) {
        assert.ok(holds(pattern, 100), `nothing was recorded for ${pattern}`);
      }
      const refusals = records.filter(({ what, content }) => /^body of POST \S+predictions$/.test(what) && /"code":"invalid_parameter"/.test(content));
      assert.equal(refusals.length, 1, "the response to the create that the vendor refused is not in the record");
      // … and the scan finds the key when it is planted in any of the records.
      for (const { what, content } of records) {
        const planted = Buffer.concat([Buffer.from(content), Buffer.from(vendorKey)]);
        assert.notDeepEqual(scan(vendorKey, [{ what, content: planted }]), [], what);
      }
    }),
  ],
];
