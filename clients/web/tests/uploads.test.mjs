// Files in an input: uploaded by themselves, once, where the model's rules take files.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, MODEL, offline, prediction, refusal, scripted } from "./script.mjs";

const photo = () => new File(["x"], "garden.png", { type: "image/png" });
const RULES = { prompt: { type: "string" }, input_image: { type: "string", format: "file" }, references: { type: "array", items: { type: "string", format: "file" } } };
const model = () => answer(200, { id: MODEL, credits: "2.5", input: RULES });
const file = (id) => () => answer(201, { file_id: id });
const there = () => answer(200, { file_id: "file_1" });
const created = () => answer(201, prediction());
const pathsOf = (requests) => requests.map(({ method, path }) => `${method} ${path}`);
const GET_MODEL = `GET /v1/models/${MODEL}`;
const CREATE = `POST /v1/${MODEL}/predictions`;

test("a file is uploaded where the rule takes files, and its id is sent", async () => {
  const image = photo();
  const input = { prompt: "p", input_image: image };
  const { requests } = await scripted([model, file("file_1"), created], (client) => client.create(MODEL, input));
  assert.deepEqual(pathsOf(requests), [GET_MODEL, "POST /v1/files", CREATE]);
  assert.equal(requests[1].body, image);
  assert.equal(requests[1].headers["content-type"], "image/png");
  assert.deepEqual(JSON.parse(requests[2].body), { input: { prompt: "p", input_image: "file_1" } });
  assert.equal(input.input_image, image, "the app's own object is unchanged");
});

test("lists may have files beside ids, and a file that is there twice is sent once", async () => {
  const image = photo();
  const { requests } = await scripted([model, file("file_1"), there, created], (client) => client.create(MODEL, { references: [image, "file_0", image] }));
  assert.deepEqual(JSON.parse(requests[3].body).input, { references: ["file_1", "file_0", "file_1"] });
});

test("an input without a file needs no rules", async () => {
  const { requests } = await scripted([created, created], async (client) => {
    await client.create(MODEL, { prompt: "p", references: ["file_1"] });
    await client.create(MODEL, {});
  });
  assert.deepEqual(pathsOf(requests), [CREATE, CREATE]);
});

test("a create that is repeated with its key has the same file id, so that it is the same request", async () => {
  const image = photo();
  const lost = [offline, offline, offline, offline];
  const { requests } = await scripted([model, file("file_1"), ...lost, there, created], async (client) => {
    const error = await client.create(MODEL, { input_image: image }).catch((thrown) => thrown);
    await client.create(MODEL, { input_image: image }, { idempotencyKey: error.idempotencyKey });
  });
  assert.deepEqual(pathsOf(requests).slice(-2), ["GET /v1/files/file_1", CREATE]);
  const creates = requests.filter(({ path }) => path.endsWith("/predictions"));
  assert.deepEqual([new Set(creates.map(({ body }) => body)).size, new Set(creates.map(({ headers }) => headers["idempotency-key"])).size], [1, 1]);
});

test("a file that the deployment no longer has is uploaded again", async () => {
  const image = photo();
  const { requests } = await scripted([model, file("file_1"), created, refusal(404, "not_found"), file("file_2"), created], async (client) => {
    await client.create(MODEL, { input_image: image });
    await client.create(MODEL, { input_image: image });
  });
  assert.deepEqual(JSON.parse(requests.at(-1).body).input, { input_image: "file_2" });
});

test("a file where the rule takes none is refused before anything is sent, and the error names the inputs that take files", async () => {
  const wrong = scripted([model], (client) => client.create(MODEL, { input_image: photo(), prompt: photo() }));
  await assert.rejects(wrong, (error) => {
    assert.deepEqual([error.code, error.param, error.advice], ["invalid_parameter", "input.prompt", "ask_user"]);
    assert.equal(error.message, `\`input.prompt\` must be JSON (files of ${MODEL} go into: input_image, references), not a file.`);
    assert.match(error.idempotencyKey, /^[0-9a-f]{32}$/);
    return true;
  });
  const without = scripted([() => answer(200, { id: MODEL, credits: "1", input: {} })], (client) => client.create(MODEL, { image: photo() }));
  await assert.rejects(without, { param: "input.image", message: /go into: no input\), not a file\.$/ });
});

test("rules are read once in five minutes, and again if they do not take the file", async () => {
  const older = () => answer(200, { id: MODEL, credits: "1", input: { references: RULES.references } });
  const real = performance.now;
  let ahead = 0;
  performance.now = () => real.call(performance) + ahead;
  const steps = [older, file("file_1"), created, file("file_2"), created, model, file("file_3"), created, model, file("file_4"), created];
  try {
    const { requests } = await scripted(steps, async (client) => {
      await client.create(MODEL, { references: [photo()] });
      await client.create(MODEL, { references: [photo()] });
      await client.create(MODEL, { input_image: photo() });
      ahead = 301_000;
      await client.create(MODEL, { input_image: photo() });
    });
    assert.equal(pathsOf(requests).filter((path) => path === GET_MODEL).length, 3);
  } finally {
    performance.now = real;
  }
});

test("batches and estimates take files too, and the error of a batch names the item", async () => {
  const image = photo();
  const steps = [model, file("file_1"), () => answer(200, { credits: "2.5" }), there, () => answer(201, {})];
  const { requests } = await scripted(steps, async (client) => {
    await client.estimate(MODEL, { input_image: image });
    await client.batch([{ model: MODEL, input: { prompt: "p" } }, { model: MODEL, input: { input_image: image } }]);
  });
  assert.deepEqual(JSON.parse(requests.at(-1).body).predictions.map(({ input }) => input), [{ prompt: "p" }, { input_image: "file_1" }]);
  const wrong = scripted([model], (client) => client.batch([{ model: MODEL, input: {} }, { model: MODEL, input: { prompt: photo() } }]));
  await assert.rejects(wrong, { param: "predictions[1].input.prompt" });
});

test("an upload whose response is lost fails the create, whose repetition uploads again", async () => {
  const image = photo();
  const { requests } = await scripted([model, offline, file("file_2"), created], async (client) => {
    const error = await client.create(MODEL, { input_image: image }).catch((thrown) => thrown);
    assert.deepEqual([error.code, error.advice], ["network", "repeat"]);
    await client.create(MODEL, { input_image: image }, { idempotencyKey: error.idempotencyKey });
  });
  assert.deepEqual(pathsOf(requests), [GET_MODEL, "POST /v1/files", "POST /v1/files", CREATE]);
});

test("an abort stops the upload, and nothing is created", async () => {
  const controller = new AbortController();
  const hang = ({ signal }) => new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    controller.abort("gone");
  });
  const creating = scripted([model, hang], (client) => client.create(MODEL, { input_image: photo() }, { signal: controller.signal }));
  await assert.rejects(creating, (reason) => reason === "gone");
});
