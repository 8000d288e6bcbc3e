// The parts of clients/web that only a browser runs: keys in IndexedDB, upload progress, CORS, the React hook. In
// Chromium, against the built Worker on real workerd.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { findChromium, launch } from "../support/browser.mjs";
import { MODEL, startClientStack } from "./stack.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const DIST = join(ROOT, "clients/web/dist");
const PATIENT = { timeout: 90_000 };

/**
 * A component that starts a prediction when it mounts, and one that follows a prediction, in React's strict mode, which
 * mounts each component twice.
 */
const COMPONENT = `
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { usePrediction } from "./clients/web/dist/react.js";

let started = 0;
async function ending(jobId, { signal, onUpdate }) {
  onUpdate({ job_id: jobId, status: "processing", output: [] });
  await new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    setTimeout(resolve, 50);
  });
  return { job_id: jobId, status: "succeeded", output: [] };
}
const client = {
  run: (model, input, options) => ending("pred_" + (started += 1), options),
  wait: ending,
};
function Studio() {
  const { run, isRunning, prediction, error } = usePrediction(client);
  useEffect(() => void run("a/b", {}), [run]);
  return [started, isRunning, prediction?.job_id, prediction?.status, error?.message].join(" ");
}
function Resumed() {
  const { isRunning, prediction, error } = usePrediction(client, { jobId: "pred_9" });
  return [isRunning, prediction?.job_id, prediction?.status, error?.message].join(" ");
}
createRoot(document.body).render(<StrictMode><p><Studio /></p><p><Resumed /></p></StrictMode>);
`;

/**
 * A component through which a test drives the hook, with globals:
 *
 * - `hook`: the hook's current value
 * - `show(name)`: selects the user whose client the hook gets; `undefined` unmounts the component
 * - `render()`: renders the component around it again
 * - `resume(id)`: passes a job id to the hook
 * - `log`: the calls that the clients got, and the warnings of the hook
 *
 * The client of `own` is made in each render of the hook's component, that of `parent` in each render around it. Both
 * components call the hook without a client: it comes from a provider.
 */
const DRIVEN = `
import { useState } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { usePrediction, useValetkey, ValetkeyProvider } from "./clients/web/dist/react.js";

globalThis.log = [];
globalThis.runs = {};
globalThis.cancelError = undefined;
console.warn = (text) => log.push(text.slice(0, 16));
const waits = (name, { signal, onUpdate }) => new Promise((resolve, reject) => {
  runs[name] = { update: (id) => onUpdate({ job_id: id, status: "processing" }), end: (id, status = "succeeded", message) => resolve({ job_id: id, status, error: message && { code: "timed_out", message } }), fail: reject };
  signal.addEventListener("abort", () => {
    log.push(name + " aborted");
    reject(signal.reason);
  });
});
const clientOf = (name) => ({
  run: (model, input, options) => {
    log.push(name + " run");
    return waits(name, options);
  },
  wait: (id, options) => {
    log.push(name + " wait " + id);
    return waits(name, options);
  },
  cancel: async (id) => {
    log.push(name + " cancel " + id);
    if (cancelError) throw cancelError;
  },
});
const clients = { alice: clientOf("alice"), bob: clientOf("bob") };
function Studio({ client, jobId }) {
  globalThis.hook = usePrediction(client, { jobId });
  return null;
}
function Own({ jobId }) {
  globalThis.hook = usePrediction(clientOf("own"), { jobId });
  return null;
}
function Provided({ jobId }) {
  globalThis.hook = usePrediction({ jobId });
  globalThis.provided = useValetkey();
  return null;
}
function App() {
  const [who, setWho] = useState("alice");
  const [jobId, setJobId] = useState();
  const [, setTimes] = useState(0);
  globalThis.show = (name) => flushSync(() => setWho(name));
  globalThis.resume = (id) => flushSync(() => setJobId(id));
  globalThis.render = () => flushSync(() => setTimes((times) => times + 1));
  if (who === "own") return <Own jobId={jobId} />;
  if (who === "provided") return <ValetkeyProvider client={clients.alice}><Provided jobId={jobId} /></ValetkeyProvider>;
  if (who === "parent") return <ValetkeyProvider client={clientOf("parent")}><Provided jobId={jobId} /></ValetkeyProvider>;
  return who && <Studio client={clients[who]} jobId={jobId} />;
}
createRoot(document.body).render(<App />);
`;

function bundled(source) {
  const flags = ["--bundle", "--format=esm", "--loader=jsx", "--jsx=automatic", '--define:process.env.NODE_ENV="development"', "--log-level=warning"];
  return execFileSync(join(ROOT, "node_modules/.bin/esbuild"), flags, { input: source, cwd: ROOT, maxBuffer: 1 << 24 });
}

/** Starts an app's server, with an empty page, the client (bundled and as modules) and both components. */
async function startApp(host = "127.0.0.1") {
  const files = readdirSync(DIST).filter((name) => name.endsWith(".js"));
  const scripts = { "/component.js": bundled(COMPONENT), "/driven.js": bundled(DRIVEN), ...Object.fromEntries(files.map((name) => [`/${name}`, readFileSync(join(DIST, name))])) };
  const server = createServer(({ url }, response) => {
    response.setHeader("content-type", url in scripts ? "text/javascript" : "text/html");
    response.end(scripts[url] ?? "<!doctype html><title>app</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://${host}:${server.address().port}` };
}

const chromium = findChromium();
if (chromium === undefined && process.env.CI !== "true") {
  test("clients/web in Chromium", { skip: "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" }, () => {});
} else {
  defineTests();
}

function defineTests() {
  let app;
  let stranger;
  let stack;
  let browser;
  let people = 0;

  before(async () => {
    // A subdomain of `localhost` is another machine to the Worker, which allows all pages of `localhost` itself.
    [app, stranger] = await Promise.all([startApp(), startApp("stranger.localhost")]);
    stack = await startClientStack();
    browser = await launch(chromium);
  }, PATIENT);

  after(async () => {
    await browser?.close();
    await stack?.stop();
    for (const { server } of [app, stranger].filter(Boolean)) server.close();
  });

  /** Opens a page of the app in `context`. */
  async function open(context, { origin } = app) {
    const page = await context.newPage();
    await page.goto(origin);
    return page;
  }

  const setting = () => ({ baseUrl: stack.origin, session: `${stack.simulator.origin}/session`, subject: `browser-${(people += 1)}`, model: MODEL });

  test("a proof key is the same in every tab, survives a reload, and cannot be exported", PATIENT, async () => {
    const context = await browser.newContext();
    const tabs = await Promise.all([open(context), open(context), open(context)]);
    const thumbprintOf = async () => (await (await import("/valetkey.min.js")).proofKey()).thumbprint;
    const thumbprints = await Promise.all(tabs.map((tab) => tab.evaluate(thumbprintOf)));
    assert.equal(new Set(thumbprints).size, 1, "three tabs that start at once");
    await tabs[0].reload();
    assert.equal(await tabs[0].evaluate(thumbprintOf), thumbprints[0]);

    const taken = await tabs[1].evaluate(() => new Promise((done, failed) => {
      const opening = indexedDB.open("valetkey");
      opening.onsuccess = () => {
        const reading = opening.result.transaction("keys").objectStore("keys").getAll();
        reading.onsuccess = async () => {
          const [{ privateKey }] = reading.result;
          const tries = ["jwk", "pkcs8"].map((format) => crypto.subtle.exportKey(format, privateKey).then(() => format, ({ name }) => name));
          done({ keys: reading.result.length, extractable: privateKey.extractable, tries: await Promise.all(tries) });
        };
      };
      opening.onerror = failed;
    }));
    assert.deepEqual(taken, { keys: 1, extractable: false, tries: ["InvalidAccessError", "InvalidAccessError"] });

    const afterwards = await tabs[2].evaluate(async () => {
      const { proofKey } = await import("/valetkey.min.js");
      await (await proofKey()).forget();
      return (await proofKey()).thumbprint;
    });
    assert.notEqual(afterwards, thumbprints[0]);
    await context.close();
  });

  test("in a browser that cannot store keys, a key lives as long as the page", PATIENT, async () => {
    const page = await open(await browser.newContext());
    const thumbprint = await page.evaluate(async () => {
      IDBObjectStore.prototype.add = () => {
        throw new DOMException("A key cannot be cloned.", "DataCloneError");
      };
      return (await (await import("/valetkey.min.js")).proofKey()).thumbprint;
    });
    assert.match(thumbprint, /^[\w-]{43}$/);
    await page.context().close();
  });

  test("the hook starts again when React mounts a component a second time", PATIENT, async () => {
    const page = await open(await browser.newContext());
    await page.evaluate(() => void import("/component.js"));
    await page.getByText("2 false pred_2 succeeded").waitFor();
    await page.getByText("false pred_9 succeeded").waitFor();
    await page.context().close();
  });

  /** Runs `steps` in a page with the hook, each after React rendered the last. Returns `log` and the hook's state. */
  async function drive(...steps) {
    const page = await open(await browser.newContext());
    await page.evaluate(() => void import("/driven.js"));
    await page.waitForFunction(() => "hook" in globalThis);
    for (const step of steps) {
      await page.evaluate(step);
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
    }
    const { isRunning, prediction, error } = await page.evaluate(() => ({ ...hook }));
    const log = await page.evaluate(() => globalThis.log);
    await page.context().close();
    return { log, isRunning, jobId: prediction?.job_id, error: error?.message };
  }

  test("the hook runs one prediction at a time", PATIENT, async () => {
    const { log, jobId } = await drive("void hook.run()", "void hook.run()", "runs.alice.end('pred_1')", "void hook.run()");
    assert.deepEqual([log, jobId], [["alice run", "alice run"], undefined]);
  });

  test("a cancel before the job id is known is sent once it is, even after the component has unmounted", PATIENT, async () => {
    const staying = await drive("void hook.run()", "hook.cancel()", "runs.alice.update('pred_1')", "runs.alice.fail(Object.assign(new Error('-'), { code: 'canceled' }))");
    assert.deepEqual(staying, { log: ["alice run", "alice cancel pred_1"], isRunning: false, jobId: "pred_1", error: undefined });
    const gone = await drive("void hook.run()", "hook.cancel()", "show(undefined)", "runs.alice.update('pred_1')");
    assert.deepEqual(gone.log, ["alice run", "alice cancel pred_1", "alice aborted"]);
    const goneWithoutAWish = await drive("void hook.run()", "show(undefined)");
    assert.deepEqual(goneWithoutAWish.log, ["alice run", "alice aborted"]);
  });

  test("a failed cancel is reported, and the prediction continues", PATIENT, async () => {
    const { log, isRunning, error } = await drive("void hook.run()", "runs.alice.update('pred_1')", "cancelError = new Error('no')", "hook.cancel()");
    assert.deepEqual([log, isRunning, error], [["alice run", "alice cancel pred_1"], true, "no"]);
  });

  test("after a change of user, the hook shows and cancels nothing of the last user's", PATIENT, async () => {
    const running = await drive("void hook.run()", "runs.alice.update('pred_1')", "show('bob')", "hook.cancel()", "void hook.run()", "runs.bob.update('pred_2')");
    assert.deepEqual(running, { log: ["alice run", "alice aborted", "bob run"], isRunning: true, jobId: "pred_2", error: undefined });
    const ended = await drive("void hook.run()", "runs.alice.end('pred_1')", "show('bob')");
    assert.deepEqual([ended.jobId, ended.isRunning], [undefined, false]);
  });

  test("the hook follows a prediction that was started before, and cancels it", PATIENT, async () => {
    const { log, jobId, isRunning } = await drive("resume('pred_1')", "runs.alice.update('pred_1')", "void hook.run()", "hook.cancel()");
    assert.deepEqual([log, jobId, isRunning], [["alice wait pred_1", "alice cancel pred_1"], "pred_1", true]);
    const ended = await drive("resume('pred_1')", "runs.alice.end('pred_1')");
    assert.deepEqual([ended.jobId, ended.isRunning, ended.error], ["pred_1", false, undefined]);
    const failed = await drive("resume('pred_1')", "runs.alice.end('pred_1', 'failed', 'It took too long.')");
    assert.deepEqual([failed.isRunning, failed.error], [false, "It took too long."]);
    const canceled = await drive("resume('pred_1')", "runs.alice.end('pred_1', 'canceled')");
    assert.deepEqual([canceled.jobId, canceled.error], ["pred_1", undefined]);
  });

  test("the id of the hook's own prediction is not followed a second time, another one is", PATIENT, async () => {
    const { log } = await drive("void hook.run()", "runs.alice.update('pred_1')", "resume('pred_1')", "render()", "runs.alice.end('pred_1')", "render()");
    assert.deepEqual(log, ["alice run"]);
    const ended = await drive("void hook.run()", "runs.alice.end('pred_1')", "resume('pred_1')");
    assert.deepEqual(ended.log, ["alice run"]);
    const other = await drive("void hook.run()", "runs.alice.update('pred_1')", "resume('pred_2')", "runs.alice.end('pred_2')");
    assert.deepEqual([other.log, other.jobId], [["alice run", "alice aborted", "alice wait pred_2"], "pred_2"]);
  });

  test("the hook takes its client from a provider", PATIENT, async () => {
    const { log, jobId } = await drive("show('provided')", "resume('pred_0')", "runs.alice.end('pred_0')", "void hook.run()", "runs.alice.end('pred_1')", "log.push(typeof provided.run)");
    assert.deepEqual([log, jobId], [["alice wait pred_0", "alice run", "function"], "pred_1"]);
  });

  test("a client that each render makes anew loses no prediction, and the developer is warned once", PATIENT, async () => {
    const { log, jobId, isRunning } = await drive("show('own')", "void hook.run()", "runs.own.update('pred_1')", "render()", "hook.cancel()", "render()");
    assert.deepEqual([log, jobId, isRunning], [["own run", "valetkey: each r", "own cancel pred_1"], "pred_1", true]);
    const ended = await drive("show('own')", "void hook.run()", "runs.own.end('pred_1')", "render()", "void hook.run()", "runs.own.end('pred_2')");
    assert.deepEqual([ended.log, ended.jobId], [["own run", "valetkey: each r", "own run"], "pred_2"]);
  });

  test("a client that each render around the hook makes anew is noticed after three renders", PATIENT, async () => {
    const { log, jobId } = await drive("show('parent')", "render()", "render()", "render()", "void hook.run()", "runs.parent.update('pred_1')", "render()", "runs.parent.end('pred_1')");
    assert.deepEqual([log, jobId], [["valetkey: each r", "parent run"], "pred_1"]);
  });

  test("a page of another origin makes a picture with a DPoP-bound token, which is worthless without its key", PATIENT, async () => {
    const context = await browser.newContext();
    const page = await open(context);
    const made = await page.evaluate(async ({ baseUrl, session, subject, model }) => {
      const [{ proofKey, valetkey }, { tokenExchange }] = await Promise.all([import("/index.js"), import("/exchange.js")]);
      const dpop = proofKey();
      const tokens = [];
      const subjectToken = async () => (await (await fetch(session, { method: "POST", body: JSON.stringify({ sub: subject }) })).json()).token;
      const exchange = tokenExchange({ baseUrl, subjectToken, dpop });
      const getToken = async (request) => {
        tokens.push(await exchange(request));
        return tokens.at(-1);
      };
      const states = [];
      const picture = await valetkey({ baseUrl, getToken, dpop }).run(model, { prompt: "A garden" }, { onUpdate: ({ status }) => states.push(status) });
      const stolen = await valetkey({ baseUrl, getToken: () => tokens[0] }).account().catch(({ code, requestId }) => ({ code, requestId }));
      return { status: picture.status, states, exchanges: tokens.length, stolen };
    }, setting());
    assert.deepEqual([made.status, made.states.at(-1), made.exchanges], ["succeeded", "succeeded", 1]);
    assert.equal(made.stolen.code, "invalid_token");
    assert.match(made.stolen.requestId, /^req_/, "a page may read the request id");
    await context.close();
  });

  test("an upload reports its progress and can be aborted", PATIENT, async () => {
    const context = await browser.newContext();
    const page = await open(context);
    const protocol = await context.newCDPSession(page);
    const throttle = (bytes) => protocol.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
    await protocol.send("Network.enable");
    await throttle(1_000_000);
    const uploaded = await page.evaluate(async ({ baseUrl, session, subject }) => {
      const { valetkey } = await import("/valetkey.min.js");
      const getToken = async () => (await (await fetch(session, { method: "POST", body: JSON.stringify({ sub: subject }) })).json()).token;
      const client = valetkey({ baseUrl, getToken });
      const file = new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), new Uint8Array(2_000_000)], { type: "image/png" });
      const progress = [];
      const { bytes } = await client.files.upload(file, { onProgress: (sent, total) => progress.push([sent, total]) });
      const controller = new AbortController();
      const onProgress = () => controller.abort();
      const aborted = await client.files.upload(file, { signal: controller.signal, onProgress }).then(() => "done", ({ name }) => name);
      const refused = await client.files.upload(new Blob(["x"], { type: "text/plain" }), { onProgress: () => {} }).catch(({ code, status }) => ({ code, status }));
      return { bytes, size: file.size, progress, aborted, refused, stored: (await client.files.list()).data.length };
    }, setting());
    const sent = uploaded.progress.map(([bytes]) => bytes);
    assert.ok(sent.length >= 3, String(sent));
    assert.deepEqual(sent, [...sent].sort((a, b) => a - b));
    assert.deepEqual(uploaded.progress.at(-1), [uploaded.size, uploaded.size]);
    assert.equal(uploaded.bytes, uploaded.size);
    assert.deepEqual([uploaded.aborted, uploaded.stored], ["AbortError", 1]);
    assert.deepEqual(uploaded.refused, { code: "unsupported_media_type", status: 415 });
    await context.close();
  });

  /** The error of a create in a page of `stranger`, whose origin the Worker refuses. */
  async function strangersError(baseUrl) {
    const context = await browser.newContext();
    const page = await open(context, stranger);
    const { code, advice, message } = await page.evaluate(async ({ baseUrl, model }) => {
      const { valetkey } = await import("/valetkey.min.js");
      const error = await valetkey({ baseUrl, getToken: () => "e30.e30.c2ln", maxTries: 1 }).create(model, { prompt: "p" }).catch((thrown) => thrown);
      return { code: error.code, advice: error.advice, message: error.message };
    }, { ...setting(), baseUrl });
    await context.close();
    return { code, advice, message };
  }

  test("a page whose preflight is refused is told which origin to allow", PATIENT, async () => {
    const { next } = await stack.simulator.requests();
    assert.deepEqual(await strangersError(stack.origin), {
      code: "origin_not_allowed",
      advice: "give_up",
      message: `${stack.origin} refuses pages of ${stranger.origin}: add ${stranger.origin} to its ALLOWED_ORIGINS.`,
    });
    assert.deepEqual(await stack.simulator.vendorRequests(next), []);
  });

  test("a page that cannot reach the deployment is told so", PATIENT, async () => {
    const nowhere = createServer().listen(0, "127.0.0.1");
    await once(nowhere, "listening");
    const baseUrl = `http://127.0.0.1:${nowhere.address().port}`;
    nowhere.close();
    await once(nowhere, "close");
    const { code, advice, message } = await strangersError(baseUrl);
    assert.deepEqual([code, advice], ["unreachable", "ask_user"]);
    assert.ok(message.includes(baseUrl) && message.includes(stranger.origin), message);
  });

  test("a File in an input is uploaded by itself, and a repetition sends it no second time", PATIENT, async () => {
    const context = await browser.newContext();
    const page = await open(context);
    const { next } = await stack.simulator.requests();
    const result = await page.evaluate(async ({ baseUrl, session, subject, model }) => {
      const { valetkey } = await import("/valetkey.min.js");
      const getToken = async () => (await (await fetch(session, { method: "POST", body: JSON.stringify({ sub: subject }) })).json()).token;
      const client = valetkey({ baseUrl, getToken });
      const photo = new File([Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])], "garden.png", { type: "image/png" });
      const picture = await client.run(model, { prompt: "The same at night", input_image: photo });
      await client.run(model, { prompt: "The same in spring", input_image: photo });
      const refused = await client.run(model, { prompt: photo }).catch(({ code, param }) => ({ code, param }));
      return { status: picture.status, requestId: picture.requestId, files: (await client.files.list()).data.length, refused };
    }, setting());
    assert.match(result.requestId, /^req_/);
    assert.deepEqual([result.status, result.files], ["succeeded", 1]);
    assert.deepEqual(result.refused, { code: "invalid_parameter", param: "input.prompt" });
    const requests = await stack.simulator.vendorRequests(next);
    assert.equal(requests.filter(({ route }) => route === "create").length, 2);
    await context.close();
  });
}
