// The stand-in of `valetkey dev --mock`, beside strangers: with --lan everybody on the network can send it requests.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, test } from "node:test";
import { startStandIn } from "../../cli/src/stand-in/vendor.ts";

const { server, port } = await startStandIn({ host: "127.0.0.1", models: ["a/b"], guestHost: "127.0.0.1" });
after(() => server.close());
const origin = `http://127.0.0.1:${port}`;

async function create(body) {
  const response = await fetch(`${origin}/v1/a/b/predictions`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  return response.json();
}

async function ended(id) {
  for (;;) {
    const job = await (await fetch(`${origin}/v1/predictions/${id}`)).json();
    if (job.status !== "processing") return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("a picture shows its prompt as text, whatever is in it", async () => {
  const { job_id: id } = await create({ input: { prompt: '</text><script>alert(1)</script>&"\'\u0000' } });
  const { output } = await ended(id);
  const response = await fetch(output[0]);
  assert.equal(response.headers.get("content-type"), "image/svg+xml");
  const picture = await response.text();
  assert.doesNotMatch(picture, /<script|\u0000/);
  assert.match(picture, /&lt;script&gt;/);
});

test("however many pictures are asked for, few are made", async () => {
  for (const [count, made] of [[1e9, 100], [-1, 1], ["9", 1], [1.5, 1], [3, 3]]) {
    const { job_id: id } = await create({ input: {}, image_count: count });
    assert.equal((await ended(id)).output.length, made, String(count));
  }
});

test("what is not JSON, too long, or has a wrong host, is refused, and the stand-in lives on", async () => {
  for (const body of ["", "{", "null", "x".repeat(1024 * 1024 + 1)]) {
    const response = await fetch(`${origin}/v1/a/b/predictions`, { method: "POST", body }).catch(() => ({ status: 500 }));
    assert.equal(response.status, 500, body.slice(0, 10));
  }
  const status = await new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/v1/models", headers: { host: "a b" } }, ({ statusCode }) => resolve(statusCode)).once("error", reject).end();
  });
  assert.ok(status >= 400);
  assert.match((await create({ input: {} })).job_id, /^pred_/);
});

test("the oldest of 1,000 predictions is forgotten", async () => {
  const { job_id: first } = await create({ input: {} });
  for (let count = 0; count < 1_000; count += 1) await create({ input: {} });
  assert.equal((await fetch(`${origin}/v1/predictions/${first}`)).status, 404);
});
