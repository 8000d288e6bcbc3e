// The ways in which the demo page gets its tokens, each on a Worker as it is deployed.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { openDeployed, startDeployed } from "../deployed.mjs";
import { signToken } from "../tokens.mjs";

const PROMPT = "A serene Japanese garden";
const TURNSTILE = "https://challenges.cloudflare.com";
const SHOTS = resolve(import.meta.dirname, "../../../dist/screenshots");
const SCREENS = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "dark" },
  desktop: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
};

/** Returns a test that starts the deployment of a way and runs each of `uses` on a new page of it. */
function onDeployment(way, uses, changes) {
  return async () => {
    const deployed = await startDeployed(way, changes);
    try {
      for (const use of uses) {
        const demo = await openDeployed(deployed);
        await use(demo, deployed);
        await demo.close();
      }
      await shoot(way, deployed);
    } catch (thrown) {
      console.log(deployed.stack.logs());
      throw thrown;
    } finally {
      await deployed.stop();
    }
  };
}

/** Screenshots for people to review. */
async function shoot(way, deployed) {
  mkdirSync(SHOTS, { recursive: true });
  for (const [screen, options] of Object.entries(SCREENS)) {
    const demo = await openDeployed(deployed, options);
    // The page has its token and knows its models.
    await demo.page.waitForLoadState("networkidle");
    await demo.page.screenshot({ path: join(SHOTS, `way-${way}-${screen}-1-open.png`), fullPage: true });
    if (way === "pasted") await paste(demo, deployed);
    await demo.submit(PROMPT);
    await demo.pictureWidth();
    await demo.page.screenshot({ path: join(SHOTS, `way-${way}-${screen}-2-picture.png`), fullPage: true });
    await demo.close();
  }
}

/** Returns the content security policy of the page, as a map from directive to sources. */
async function policyOf({ page }) {
  const answer = await page.reload();
  const directives = (await answer.headerValue("content-security-policy")).split("; ");
  return Object.fromEntries(directives.map((directive) => directive.split(" ").filter((word) => word !== "")).map(([name, ...sources]) => [name, sources.join(" ")]));
}

async function paste({ page }, { stack }, claims = { lifetimeSecs: 600 }) {
  await page.getByLabel("Token", { exact: true }).fill(signToken(stack.session, { sub: "alice", ...claims }));
  await page.getByRole("button", { name: "Use it" }).click();
}

async function makesPicture(demo) {
  await demo.submit(PROMPT);
  assert.ok((await demo.pictureWidth()) > 0);
  assert.equal(await demo.page.locator(".stand-in:visible").count(), 0, "a deployment never says that its vendor is a stand-in");
  assert.deepEqual(demo.recorder.complaints, []);
}

const session = [
  async (demo) => {
    await makesPicture(demo);
    assert.ok(demo.sessions.length > 0);
    assert.match(demo.sessions[0].body.sub, /^demo-[0-9a-f]{16}$/);
    // The backend named the user, whatever the page sent.
    assert.match(await demo.page.locator("#claims").innerText(), /sub\s+alice@example\.com/);
    assert.deepEqual(demo.scripts, []);
    const { "script-src": scripts, "connect-src": calls, "frame-src": frames } = await policyOf(demo);
    assert.deepEqual([scripts, calls, frames], ["'self'", "'self' https://app.example.com", "'none'"]);
  },
];

const guest = [
  async (demo) => {
    await makesPicture(demo);
    assert.ok(demo.scripts.some((url) => url === `${TURNSTILE}/turnstile/v0/api.js?render=explicit`));
    assert.match(await demo.page.locator("#credits").innerText(), /^A picture costs up to 2\.5 credits\. You have 7\.5 of today’s 10 left\.$/);
    assert.match(await demo.page.locator("#claims").innerText(), /client_id\s+guest/);
    assert.deepEqual(demo.sessions, []);
    const { "script-src": scripts, "connect-src": calls, "frame-src": frames } = await policyOf(demo);
    assert.deepEqual([scripts, calls, frames], [`'self' ${TURNSTILE}`, "'self'", TURNSTILE]);
  },
  async (demo) => {
    // A refused token is replaced by that of a new guest, who has no pictures.
    await makesPicture(demo);
    await demo.gallery(1);
    const refusal = { status: 401, json: { error: { code: "invalid_token", request_id: "req_of_this_test" } } };
    await demo.page.route((url) => url.pathname.endsWith("/predictions"), (route) => (route.request().method() === "POST" ? route.fulfill(refusal) : route.fallback()), { times: 1 });
    await demo.submit("Another garden");
    await demo.pictureWidth();
    await demo.page.getByText("you are a new guest now").waitFor();
    assert.deepEqual(await demo.gallery(1), ["Another garden"]);
  },
];

const pasted = [
  async (demo, deployed) => {
    const { page } = demo;
    await page.getByText("This page keeps it in memory and nowhere else").waitFor();
    await demo.submit(PROMPT);
    assert.match(await demo.problemText(), /^Paste a token first\./);
    const error = page.locator("#token-error");
    await page.getByLabel("Token", { exact: true }).fill("hello");
    await page.getByRole("button", { name: "Use it" }).click();
    assert.equal(await error.innerText(), "This is not a token. Paste the whole line that the command printed.");
    await paste(demo, deployed, { ageSecs: 700, lifetimeSecs: 600 });
    assert.equal(await error.innerText(), "This token has expired. Paste a new one.");
    await paste(demo, deployed);
    assert.equal(await page.locator("#token-form").isVisible(), false);
    assert.equal(await page.locator("#token-holder").innerText().then((text) => text.includes("You are alice")), true);
    assert.equal(await page.getByLabel("Token", { exact: true }).inputValue(), "", "the token is not left on the screen");
    await demo.problem.getByRole("button", { name: "Try again" }).click();
    assert.ok((await demo.pictureWidth()) > 0);
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]) + document.documentElement.outerHTML);
    assert.equal(/eyJ[\w-]+\.eyJ/.test(stored), false, "the token is in memory alone");
    assert.deepEqual([demo.sessions, demo.scripts], [[], []]);
    const { "script-src": scripts, "connect-src": calls, "frame-src": frames } = await policyOf(demo);
    assert.deepEqual([scripts, calls, frames], ["'self'", "'self'", "'none'"]);
    // After the reload nothing is known, and the pictures are those of the token.
    await page.locator("#token-form").waitFor();
    await paste(demo, deployed);
    assert.deepEqual(await demo.gallery(1), [PROMPT]);
    await page.getByRole("button", { name: "Use another token" }).click();
    await paste(demo, deployed, { sub: "bob", lifetimeSecs: 600 });
    assert.deepEqual(await demo.gallery(0), []);
  },
  async (demo, deployed) => {
    // Markup in a claim, a prompt, an error and a request id stays text.
    const { page } = demo;
    const markup = `"><img src=x onerror="globalThis.hit=1"><svg onload="globalThis.hit=1"></svg>`;
    const assertText = async () => {
      assert.equal(await page.locator('img[src="x"], [onerror], svg[onload]').count(), 0);
      assert.equal(await page.evaluate(() => globalThis.hit), undefined);
    };
    await paste(demo, deployed, { lifetimeSecs: 600, name: markup });
    assert.ok((await page.locator("#claims").innerText()).includes(markup));
    await demo.submit(markup);
    assert.ok((await demo.pictureWidth()) > 0);
    assert.ok((await page.locator("#curl").textContent()).includes("onerror"));
    await assertText();
    const error = { type: "invalid_request_error", code: markup, message: markup, param: markup, request_id: markup };
    await page.route((url) => url.pathname.endsWith("/predictions"), (route) => (route.request().method() === "POST" ? route.fulfill({ status: 400, json: { error } }) : route.fallback()), { times: 1 });
    await demo.submit("A garden");
    await demo.problemText();
    await assertText();
    // An output that is no picture is never shown, nor linked.
    const made = { job_id: "pred_1", status: "succeeded", model: "a/b", output: ["javascript:globalThis.hit=1"], credits_used: "1", error: null };
    const times = { created_at: "2026-01-01T00:00:00Z", completed_at: "2026-01-01T00:00:01Z" };
    await page.route((url) => url.pathname.endsWith("/predictions"), (route) => (route.request().method() === "POST" ? route.fulfill({ status: 201, json: { ...made, ...times } }) : route.fallback()), { times: 1 });
    await demo.submit("A garden");
    await demo.waitUntilEnded();
    assert.equal(await page.locator('a[href^="javascript:"]:visible').count(), 0);
    await assertText();
  },
  async (demo, deployed) => {
    // A token that the service refuses is asked for again, and the field says why.
    await paste(demo, { stack: { session: { ...deployed.stack.session, SESSION_SECRET: "another-secret-of-this-test-0123456789abcdef" } } });
    await demo.page.getByText("The service refused this token. Paste a new one.").first().waitFor();
    assert.equal(await demo.page.locator("#token-form").isVisible(), true);
  },
];

export default [
  ["deployed, the page gets its token from the app's backend", onDeployment("session", session)],
  ["deployed, a visitor whom Turnstile takes for a person is a guest", onDeployment("guest", guest)],
  ["deployed, the page takes a token that is pasted", onDeployment("pasted", pasted)],
];
