// A page on an origin outside ALLOWED_ORIGINS gets nothing, whatever token it holds.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { openRecorded } from "../../support/browser.mjs";

const CREATE = "/v1/black-forest-labs/flux-kontext-max/predictions";
const BODY = JSON.stringify({ input: { prompt: "A garden of somebody else" } });

/** Serves an empty page on a subdomain of `localhost`. The Worker allows pages of `localhost` itself, but not this one. */
async function withForeignPage(use) {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Elsewhere</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://elsewhere.localhost:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function corsHeaders(headers) {
  return Object.keys(headers).filter((name) => name.toLowerCase().startsWith("access-control-"));
}

async function refusesForeignPage({ stack, browser }, foreign) {
  const { simulator, origin } = stack;
  const token = await simulator.token("somebody");
  const { next } = await simulator.requests();
  const { context, page, recorder } = await openRecorded(browser, foreign);
  try {
    const outcome = (init) =>
      page.evaluate(
        ([url, options]) => fetch(url, options).then((answer) => `${answer.type} ${answer.status}`, (error) => error.name),
        [origin + CREATE, init],
      );
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    // With a token, the browser sends a preflight. Without one, and with a plain body, it sends the request at once.
    assert.equal(await outcome({ method: "POST", headers, body: BODY }), "TypeError");
    assert.equal(await outcome({ method: "POST", headers: { "content-type": "text/plain" }, body: BODY }), "TypeError");
    // `no-cors`: sent without a preflight, and the page cannot read the response.
    assert.equal(await outcome({ method: "POST", mode: "no-cors", body: BODY }), "opaque 0");

    const answers = await recorder.answersTo(CREATE, 3);
    assert.deepEqual(answers.map(({ url }) => url.split(" ")[0]).sort(), ["OPTIONS", "POST", "POST"]);
    for (const { url, status, headers: received } of answers) {
      assert.equal(status, 403, url);
      assert.deepEqual(corsHeaders(received), [], url);
    }
  } finally {
    await context.close();
  }

  // Reads the refusal, which the browser hides from the page, and sends the same request from an allowed origin.
  const send = (from) =>
    fetch(origin + CREATE, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", origin: from },
      body: BODY,
    });
  const refused = await send(foreign);
  assert.equal(refused.status, 403);
  assert.deepEqual(corsHeaders(Object.fromEntries(refused.headers)), []);
  const { error } = await refused.json();
  assert.equal(error.code, "origin_not_allowed");
  const creates = (await simulator.vendorRequests(next)).filter(({ route }) => route === "create");
  assert.deepEqual(creates, [], "a create reached the vendor");

  const allowed = await send(simulator.origin);
  assert.equal(allowed.status, 201, "the token was not the reason");
  assert.equal(allowed.headers.get("access-control-allow-origin"), simulator.origin);
}

export default [
  ["a page on an origin that is not allowed is refused", (world) => withForeignPage((foreign) => refusesForeignPage(world, foreign))],
];
