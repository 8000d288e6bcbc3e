// The operator's page in a browser, with a stand-in for its API.
import assert from "node:assert/strict";
import { BUSY, EMPTY, NOW, onPage, OperatorsPage, PAUSED, StandInApi, TOKEN, userKey } from "../operators.mjs";

const MARKUP = `<img src=x onerror="globalThis.hacked = true"><script>globalThis.hacked = true</script>`;

const USER = userKey(3);

/** A test on a board that is signed in and read. */
function onBoard(use, options) {
  return onPage(async (page, api, world) => {
    await page.ready();
    await use(page, api, world);
  }, options);
}

/** A test on a page that asks for a token. */
function onSignIn(use) {
  return async (world) => {
    const api = new StandInApi();
    api.faults.set("*", { status: 401, code: "missing_token" });
    const page = await OperatorsPage.open(world, { api });
    try {
      await page.token.waitFor();
      await use(page, api);
    } finally {
      await page.close();
    }
  };
}

async function says(locator, text) {
  await locator.filter({ hasText: text }).waitFor();
}

/** The actions: the way to each dialog, words that it must say, its button, and the request. */
const ACTIONS = [
  {
    name: "pausing every model", open: (page) => page.button("Pause creates").click(), says: ["No new prediction is sent", "refused with 503"],
    confirm: "Pause", sends: { method: "POST", path: "pause", body: { for_secs: 600 } },
  },
  {
    name: "pausing one model", open: (page) => page.button("Pause creates").click(), says: ["Model"],
    fill: async (page) => {
      await page.dialog.getByRole("textbox", { name: "Minutes" }).fill("2");
      await page.dialog.getByRole("textbox", { name: /^Model/ }).fill(" acme/model-x ");
    },
    confirm: "Pause", sends: { method: "POST", path: "pause", body: { for_secs: 120, model: "acme/model-x" } },
  },
  {
    name: "ending a pause", open: (page) => page.page.locator("#pauses").getByRole("button").first().click(), says: ["Creates of every model start again", PAUSED.pauses[0].id],
    confirm: "Resume", sends: { method: "POST", path: "resume", body: { id: PAUSED.pauses[0].id } },
  },
  {
    name: "releasing a slot", open: (page) => page.button("Release").click(), says: [BUSY.unknown_outcomes[0].job_id, "the vendor may still be running it"],
    confirm: "Release the slot", sends: { method: "POST", path: `jobs/${BUSY.unknown_outcomes[0].job_id}/release`, body: null },
  },
  {
    name: "setting a user’s limits", open: (page) => user(page, "Set limits"), says: ["alice of https://login.example", "0 predictions a minute stops new ones"],
    fill: async (page) => {
      await page.dialog.getByRole("textbox", { name: "Predictions a minute" }).fill("0");
      await page.dialog.getByRole("textbox", { name: "Credits a day" }).fill("12.5");
    },
    confirm: "Set the limits", sends: { method: "PUT", path: `users/${USER}/override`, body: { predictions_per_minute: 0, daily_credits: "12.5" } }, days: 7,
  },
  {
    name: "going back to the plan’s limits", open: (page) => user(page, "Plan’s limits"), says: ["alice of https://login.example"],
    confirm: "Remove the user’s own limits", sends: { method: "DELETE", path: `users/${USER}/override`, body: null },
  },
  {
    name: "canceling a user’s predictions", open: (page) => user(page, "Cancel predictions"), says: ["alice of https://login.example", "may still be billed"],
    confirm: "Cancel them", sends: { method: "POST", path: `users/${USER}/cancel`, body: null },
  },
  {
    name: "deleting a user", open: (page) => user(page, "Delete"), says: ["alice of https://login.example", "This cannot be undone"],
    confirm: "Delete the user", sends: { method: "DELETE", path: `users/${USER}`, body: null },
  },
  {
    name: "revoking a user’s tokens", open: (page) => user(page, "Revoke tokens"), says: ["Every token of alice of https://login.example"],
    confirm: "Revoke the tokens", sends: { method: "POST", path: "revocations", body: { issuer: "https://login.example", subject: "alice" } },
  },
];

async function lookUp(page) {
  await page.page.getByLabel("Issuer").fill("https://login.example");
  await page.page.getByLabel("Subject").fill("alice");
  await page.button("Look up").click();
  await page.page.getByText(USER, { exact: true }).waitFor();
}

async function user(page, action) {
  await lookUp(page);
  await page.page.locator("#user-actions").getByRole("button", { name: action }).click();
}

/** What the page wrote, without the look-ups. */
const writes = (api) => api.writes.filter(({ path }) => path !== "users/lookup");

function asksBefore({ open, says: words, fill = async () => {}, confirm, sends, days }) {
  return onBoard(async (page, api) => {
    api.state = PAUSED;
    await page.next();
    await open(page);
    for (const text of words) await says(page.dialog, text);
    // Nothing is sent before the dialog's own button, nor by another way out of it.
    assert.deepEqual(writes(api), []);
    await page.page.keyboard.press("Escape");
    await page.dialog.waitFor({ state: "hidden" });
    await open(page);
    await fill(page);
    const reads = api.requests.filter(({ path }) => path === "state").length;
    await page.confirm(confirm);
    const [{ body, ...request }, ...more] = writes(api);
    const { expires_at: end, ...values } = body ?? {};
    assert.deepEqual([{ ...request, body: body && values }, ...more], [sends]);
    // By the service's clock.
    if (days !== undefined) assert.ok(Math.abs(Date.parse(end) - Date.parse(NOW) - days * 86_400_000) < 120_000, end);
    assert.equal(api.requests.find(({ path }) => path === sends.path).headers["x-valetkey-admin"], "1");
    await page.announcement.filter({ hasText: /\w/ }).waitFor();
    // The board is read again at once.
    await page.settle(() => api.requests.filter(({ path }) => path === "state").length > reads);
  });
}

export default [
  [
    "operators: the page asks for a token, and shows nothing before",
    onSignIn(async (page, api) => {
      assert.equal(await page.page.locator("#board").isVisible(), false);
      await says(page.page.locator("#token-hint"), "To get one, run npx --no-install valetkey token --operator where");
      assert.deepEqual([...new Set(api.requests.map(({ path }) => path))], ["state"]);
      for (const text of ["", "not a token", "a.b"]) {
        await page.signIn(text);
        await page.page.locator("#token-error").waitFor();
      }
      assert.equal(api.requests.length, 1, "nothing was sent");
      api.faults.clear();
      await page.signIn(`Bearer ${TOKEN}`);
      await page.ready();
      const sent = api.requests.slice(1);
      assert.ok(sent.length >= 5);
      for (const { headers } of sent) assert.equal(headers["authorization"], `Bearer ${TOKEN}`);
      assert.equal(await page.page.locator("#operator").innerText(), "boss@example.com");
    }),
  ],
  [
    "operators: the token is in no storage, address, cookie, field or attribute, and a reload forgets it",
    onSignIn(async (page, api) => {
      api.faults.clear();
      await page.signIn();
      await page.ready();
      const records = await page.recorder.everything();
      const holders = records.filter(({ content }) => Buffer.from(content).includes(TOKEN)).map(({ what }) => what);
      // The page's memory has it, so the search finds what is there.
      assert.deepEqual(holders, ["heap"]);
      api.faults.set("*", { status: 401, code: "missing_token" });
      await page.page.reload();
      await page.token.waitFor();
      assert.equal(api.requests.at(-1).headers["authorization"], undefined);
    }),
  ],
  [
    "operators: a token that is refused is asked for again, and why",
    onSignIn(async (page, api) => {
      api.faults.set("*", { status: 401, code: "invalid_token" });
      await page.signIn();
      await says(page.page.locator("#token-error"), "it has expired, was revoked");
      api.faults.set("*", { status: 403, code: "insufficient_permissions" });
      await page.signIn();
      await says(page.page.locator("#token-error"), "do not give you the right");
      assert.equal(await page.page.locator("#board").isVisible(), false);
    }),
  ],
  [
    "operators: behind Cloudflare Access no token is asked for, and none is sent",
    onBoard(async (page, api) => {
      assert.equal(await page.token.isVisible(), false);
      assert.equal(await page.button("Forget the token").isVisible(), false);
      assert.ok(api.requests.every(({ headers }) => headers["authorization"] === undefined));
      // Once its session has ended, Access redirects to its own page.
      await page.context.unroute("**/admin/api/**");
      await page.context.route("**/admin/api/**", (route) => route.fulfill({ status: 302, headers: { location: "https://team.cloudflareaccess.com/login" } }));
      await page.page.clock.fastForward(5_000);
      await says(page.page.locator("#token-error"), "Cloudflare Access asks you to sign in again");
      assert.equal(await page.page.locator("#board").isVisible(), false);
    }),
  ],
  [
    "operators: when the token is revoked, nothing of the session stays on the page",
    onSignIn(async (page, api) => {
      api.faults.clear();
      await page.signIn();
      await page.ready();
      await lookUp(page);
      await page.button("Pause creates").click();
      api.faults.set("*", { status: 401, code: "invalid_token" });
      await page.dialog.getByRole("button", { name: "Pause" }).click();
      await says(page.page.locator("#token-error"), "refused this token");
      assert.equal(await page.dialog.isVisible(), false);
      assert.equal(await page.page.locator("#board").isVisible(), false);
      Object.assign(api, { audit: [] }).faults.clear();
      await page.signIn();
      await page.ready();
      assert.equal(await page.page.locator("#audit li").count(), 0);
      assert.equal(await page.page.locator("#user").isVisible(), false);
      assert.equal(await page.page.getByLabel("Subject").inputValue(), "");
      await page.button("Forget the token").click();
      await page.token.waitFor();
      const count = api.requests.length;
      await page.page.clock.fastForward(120_000);
      assert.equal(api.requests.length, count, "nobody is signed in, so nothing is sent");
    }),
  ],
  [
    "operators: an answer that comes after the operator has left is not shown",
    onSignIn(async (page, api) => {
      api.faults.clear();
      await page.signIn();
      await page.ready();
      let answer;
      const held = new Promise((resolve) => (answer = resolve));
      api.faults.set("GET state", () => held);
      await page.next();
      await page.button("Forget the token").click();
      api.faults.clear();
      answer(undefined);
      await page.page.evaluate(() => fetch("/healthz").then(() => new Promise((resolve) => requestAnimationFrame(resolve))));
      assert.equal(await page.page.locator("#board").isVisible(), false);
      assert.equal(await page.token.isVisible(), true);
    }),
  ],
  [
    "operators: without the right to write there are no actions, and the page says why",
    onBoard(async (page, api) => {
      api.state = { ...PAUSED, operator: { name: "viewer", rights: ["read"] } };
      await page.next();
      await page.page.getByText("You may read, and not write").waitFor();
      await page.page.locator("#users").getByRole("button").first().click();
      const names = await page.page.getByRole("button").allInnerTexts();
      // User keys lead to the user, who can be exported.
      assert.deepEqual(names.filter((name) => !/^[0-9a-f]{12}…$/.test(name)), ["Look up", "Export", "Show more"]);
    }),
  ],
  ...ACTIONS.map((action) => [`operators: ${action.name} asks first, says what happens, and sends one request`, asksBefore(action)]),
  [
    "operators: revoking every token asks first, and then asks for a new token",
    onSignIn(async (page, api) => {
      api.faults.clear();
      await page.signIn();
      await page.ready();
      await page.button("Revoke every token").click();
      await says(page.dialog, "yours too");
      assert.deepEqual(api.writes, []);
      await page.dialog.getByRole("button", { name: "Revoke every token" }).click();
      api.faults.set("*", { status: 401, code: "invalid_token" });
      await page.settle(() => api.writes.length === 1);
      const [{ path, body }] = api.writes;
      assert.equal(path, "revocations");
      assert.deepEqual(Object.keys(body), ["issued_by"]);
      // By the service's clock: this machine's may be wrong.
      assert.ok(Math.abs(body.issued_by - Date.parse(NOW) / 1_000) < 60, `${body.issued_by}`);
      await page.token.waitFor();
    }),
  ],
  [
    "operators: an action that fails says so in its dialog, is not repeated by itself, and can be tried again",
    onBoard(async (page, api) => {
      let isFree;
      const held = new Promise((resolve) => (isFree = resolve));
      api.faults.set("POST pause", async () => {
        await held;
        return { status: 503 };
      });
      await page.button("Pause creates").click();
      const pause = page.dialog.getByRole("button", { name: "Pause" });
      await pause.click();
      // While it runs, a second click sends nothing, and the dialog stays.
      await pause.click({ force: true });
      await page.page.keyboard.press("Escape");
      assert.equal(await page.dialog.isVisible(), true);
      isFree();
      await says(page.dialog, "The Dispatcher or a Ledger did not answer. (req_of_this_test)");
      assert.equal(api.writes.length, 1);
      api.faults.set("POST pause", { status: 400, code: "invalid_parameter", param: "model" });
      await pause.click();
      await says(page.dialog, "The service did not accept this model.");
      api.faults.clear();
      await page.confirm("Pause");
      assert.equal(api.writes.length, 3);
    }),
  ],
  [
    "operators: the board follows the state without a reload, and keeps the focus",
    onBoard(async (page, api) => {
      api.state = PAUSED;
      await page.next();
      const second = page.page.locator("#pauses").getByRole("button").nth(1);
      await second.focus();
      await second.evaluate((button) => (button.dataset.same = "yes"));
      api.state = { ...PAUSED, requests: { per_minute: 60, remaining: 7 } };
      await page.next();
      await page.page.locator("#tile-requests").filter({ hasText: /^Vendor requests left\s*7/ }).waitFor();
      assert.equal(await page.page.evaluate(() => document.activeElement.dataset.same), "yes");
      // The row with the focus goes: the next one gets it, and then the page itself.
      api.state = { ...PAUSED, pauses: [PAUSED.pauses[0]] };
      await page.next();
      await page.page.waitForFunction(() => document.activeElement.closest("#pauses") !== null && document.activeElement.dataset.same === undefined);
      api.state = BUSY;
      await page.next();
      await page.page.waitForFunction(() => document.activeElement.id === "main");
      assert.equal(await page.page.getByText("Creates are paused").isVisible(), false);
    }),
  ],
  [
    "operators: a failing API is asked less and less often, as late as Retry-After says, and what is shown stays",
    onBoard(async (page, api) => {
      const states = () => api.requests.filter(({ path }) => path === "state").length;
      api.faults.set("GET state", { status: 503 });
      await page.next();
      await says(page.problems, "did not answer");
      await says(page.live, "Next try in 8 s");
      assert.equal(await page.page.locator("#board").isVisible(), true);
      const before = states();
      await page.page.clock.fastForward(7_000);
      assert.equal(states(), before);
      api.faults.set("GET state", { status: 429, code: "rate_limited", headers: { "retry-after": "45" } });
      await page.page.clock.fastForward(1_500);
      await says(page.live, "Next try in 45 s");
      await says(page.problems, "more than 240 requests in a minute");
      await page.page.clock.fastForward(40_000);
      assert.equal(states(), before + 1);
      api.faults.set("GET state", "abort");
      await page.page.clock.fastForward(6_000);
      await says(page.problems, "cannot be reached");
      api.faults.clear();
      await page.page.clock.fastForward(61_000);
      await says(page.live, "Live, ");
      await page.settle(async () => (await page.problems.innerText()) === "");
    }),
  ],
  [
    "operators: a page that nobody sees sends nothing, and is up to date at once when it is seen again",
    onBoard(async (page, api) => {
      const see = (state) => page.page.evaluate((value) => {
        Object.defineProperty(document, "visibilityState", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
      await see("hidden");
      const before = api.requests.length;
      await page.page.clock.fastForward(600_000);
      assert.equal(api.requests.length, before);
      api.state = EMPTY;
      await see("visible");
      await page.page.locator("#tile-slots").filter({ hasText: "0 of 5" }).waitFor();
    }),
  ],
  [
    "operators: at a deployment, what the Dispatcher of the build before does not know is not shown",
    onBoard(async (page, api) => {
      const { rotation, alerts, ...before } = BUSY;
      assert.ok(rotation && alerts);
      api.state = before;
      await page.next();
      await page.page.locator("#alerts-panel").waitFor({ state: "hidden" });
      assert.equal(await page.page.locator("#tile-rotation").isVisible(), false);
      // A state that the page cannot show at all is said, and the next one is shown.
      api.state = { ...BUSY, vendor_key: undefined };
      await page.next();
      await says(page.problems, "This page could not show the answer");
      api.state = BUSY;
      await page.page.clock.fastForward(61_000);
      await page.page.locator("#alerts-panel").waitFor();
      await page.settle(async () => (await page.problems.innerText()) === "");
    }),
  ],
  [
    "operators: spend, refusals and the audit log say when they are not up to date",
    onPage(async (page, api) => {
      await page.ready();
      api.faults.set("GET refusals", { status: 503 });
      await page.page.clock.fastForward(61_000);
      await says(page.problems, "Spend, refusals and the audit log are not up to date.");
      await says(page.live, "Live, ");
      assert.equal(await page.page.locator("#users li").count(), 10);
    }),
  ],
  [
    "operators: markup in names and details is text",
    onPage(async (page, api) => {
      const name = (index) => `${MARKUP}${index}`;
      api.state = {
        ...PAUSED,
        operator: { name: MARKUP, rights: ["read", "write"] },
        version: { edge: { id: MARKUP, tag: MARKUP }, dispatcher: { id: MARKUP, tag: null } },
        vendor_key: { fingerprint: MARKUP, health: "refused", since: MARKUP },
        rotation: { state: MARKUP, fingerprint: MARKUP, since: MARKUP, jobs_of_old_key: 0 },
        unknown_outcomes: [{ ...BUSY.unknown_outcomes[0], model: MARKUP, user: MARKUP }],
        pauses: [{ ...PAUSED.pauses[0], model: MARKUP }],
        alerts: [{ time: MARKUP, alert: MARKUP, detail: MARKUP }],
      };
      api.users = [{ user: MARKUP, credits: "1", predictions: 1 }];
      api.refusals = [{ day: EMPTY.today.day, code: MARKUP, count: 1 }];
      api.audit = [{ ...api.audit[0], operator: name(1), action: name(2), target: name(3), request_id: name(4) }];
      await page.page.reload();
      await page.ready();
      for (const open of ["Resume", "Release"]) {
        await page.button(open).click();
        await says(page.dialog, "<img src=x");
        await page.button("Cancel").click();
      }
      assert.ok((await page.page.getByText("<img src=x").count()) >= 10);
      assert.equal(await page.page.locator("img").count(), 1, "the icon alone");
      assert.equal(await page.page.evaluate(() => "hacked" in globalThis), false);
      assert.deepEqual(page.recorder.complaints, []);
    }),
  ],
  [
    "operators: everything works with the keyboard alone",
    onBoard(async (page, api) => {
      const { keyboard } = page.page;
      const focused = () => page.page.evaluate(() => document.activeElement.innerText || document.activeElement.id);
      const tabTo = async (name) => {
        for (let presses = 0; presses < 60; presses += 1) {
          if ((await focused()) === name) return;
          await keyboard.press("Tab");
        }
        assert.fail(`no way to ${name} by Tab`);
      };
      await tabTo("Pause creates");
      await keyboard.press("Enter");
      assert.equal(await focused(), "dialog-minutes");
      await keyboard.press("Escape");
      await page.dialog.waitFor({ state: "hidden" });
      assert.equal(await focused(), "Pause creates");
      await keyboard.press("Enter");
      await keyboard.press("Control+A");
      await keyboard.type("61");
      await keyboard.press("Enter");
      await says(page.dialog, "A whole number from 1 to 60.");
      assert.equal(await focused(), "dialog-minutes");
      await keyboard.press("Control+A");
      await keyboard.type("5");
      await keyboard.press("Enter");
      await page.dialog.waitFor({ state: "hidden" });
      assert.deepEqual(api.writes, [{ method: "POST", path: "pause", body: { for_secs: 300 } }]);
      // Enter alone does not do what cannot be undone.
      await tabTo("Revoke every token");
      await keyboard.press("Enter");
      assert.equal(await focused(), "Cancel");
      await keyboard.press("Enter");
      await page.dialog.waitFor({ state: "hidden" });
      assert.equal(api.writes.length, 1);
    }),
  ],
  [
    "operators: the audit log shows more on request, and new actions come on top",
    onBoard(async (page, api) => {
      const rows = page.page.locator("#audit li");
      assert.equal(await rows.count(), 20);
      await page.button("Show more").click();
      await rows.nth(39).waitFor();
      await page.button("Show more").click();
      await rows.nth(44).waitFor();
      assert.equal(await page.button("Show more").isVisible(), false);
      api.audit = [{ ...api.audit[0], id: 46, action: "newest" }, ...api.audit];
      await page.page.clock.fastForward(61_000);
      await rows.first().filter({ hasText: "newest" }).waitFor();
      assert.equal(await rows.count(), 46);
      // With more new ones than a page has, the list starts again: it never leaves a gap.
      api.audit = [...Array.from({ length: 30 }, (_, index) => ({ ...api.audit[0], id: 76 - index })), ...api.audit];
      await page.page.clock.fastForward(61_000);
      await page.settle(async () => (await rows.count()) === 20);
    }),
  ],
  [
    "operators: a user is found by issuer and subject, or opened from a list",
    onBoard(async (page, api) => {
      await page.page.getByLabel("Subject").fill("  ");
      await page.button("Look up").click();
      await page.page.getByText("Both are needed").waitFor();
      assert.deepEqual(api.writes, []);
      api.isKnown = false;
      await page.page.getByLabel("Issuer").fill("https://login.example");
      await page.page.getByLabel("Subject").fill("nobody");
      await page.button("Look up").click();
      await page.page.getByText("Nothing is stored of this user.").waitFor();
      assert.equal(await page.page.locator("#user").isVisible(), false);
      api.isKnown = true;
      await lookUp(page);
      assert.deepEqual(api.writes.at(-1).body, { issuer: "https://login.example", subject: "alice" });
      // Tokens are revoked by issuer and subject, which a user key does not tell.
      await page.page.locator("#users").getByRole("button").first().click();
      assert.equal(await page.button("Revoke tokens").isVisible(), false);
      assert.equal(await page.page.locator("#user-heading").evaluate((heading) => heading === document.activeElement), true);
    }),
  ],
  [
    "operators: an export is saved as a file, whole, and no prompt is shown",
    onBoard(async (page) => {
      await user(page, "Export");
      await says(page.dialog, "the prompts of those that wait");
      const saved = page.page.waitForEvent("download");
      await page.confirm("Save the file");
      const download = await saved;
      assert.equal(download.suggestedFilename(), `valetkey-${USER.slice(0, 12)}.json`);
      const chunks = [];
      for await (const chunk of await download.createReadStream()) chunks.push(chunk);
      const { predictions, files, next_cursor: next } = JSON.parse(Buffer.concat(chunks).toString());
      assert.deepEqual([predictions[0].input.prompt, files[0].file_id, next], ["A secret garden", "file_1", null]);
      assert.equal((await page.page.content()).includes("A secret garden"), false);
    }),
  ],
  [
    "operators: the charts say their numbers as a table too",
    onBoard(async (page) => {
      const chart = page.page.locator("#chart-spend");
      assert.match(await chart.getByRole("img").getAttribute("aria-label"), /^Credits: [\d,.]+ on Nov 30, at most [\d,.]+ on Nov \d+$/);
      assert.equal(await chart.locator("rect").count(), 30);
      await chart.getByText("As a table").click();
      assert.equal(await chart.getByRole("row").count(), 30);
      assert.match(await chart.getByRole("row").first().innerText(), /^Nov 30\s+[\d,.]+$/);
    }),
  ],
];
