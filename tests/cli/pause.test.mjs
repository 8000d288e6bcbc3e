// A pause around a change, with shorter times: renewed, taken anew, ended, and never longer than it may be.
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { AdminApi } from "../../cli/src/operate/admin.ts";
import { LIMITS } from "../../cli/src/operate/limits.ts";
import { whilePaused } from "../../cli/src/operate/pause.ts";
import { rollOut } from "../../cli/src/operate/rollout.ts";
import { StandInGateway } from "./stand_in_gateway.mjs";

const SHORT = { ...LIMITS, renewEveryMs: 20, idleWaitMs: 60, arrivalWaitMs: 60, pollEveryMs: 10, resumeTries: 3 };
let gateway;
let admin;

beforeEach(async () => {
  gateway?.stop();
  gateway = await new StandInGateway().start();
  admin = new AdminApi(gateway.url, async () => "eyJ");
});
after(() => gateway.stop());

/** Waits until `isTrue`. */
async function until(isTrue) {
  const end = Date.now() + 30_000;
  while (!isTrue()) {
    assert.ok(Date.now() < end, "not in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("the times are those of docs/deploy.md: 120 s from the last renewal, every 30 s, 50 s, 60 s", () => {
  const { pauseSecs, renewEveryMs, idleWaitMs, arrivalWaitMs } = LIMITS;
  assert.deepEqual([pauseSecs, renewEveryMs, idleWaitMs, arrivalWaitMs], [120, 30_000, 50_000, 60_000]);
});

test("a pause is renewed while the work lasts, and given back by its id", async () => {
  const others = await admin.pause(60);
  await whilePaused(admin, () => until(() => gateway.events.filter((event) => event === "renew").length >= 3), SHORT);
  assert.deepEqual([...gateway.leases.keys()], [others.id], "another operator's pause stays");
  assert.equal(gateway.events.at(-1), "resume");
});

test("a pause that was lost is taken anew", async () => {
  await whilePaused(admin, async () => {
    gateway.leases.clear();
    await until(() => gateway.leases.size === 1);
  }, SHORT);
  assert.equal(gateway.leases.size, 0);
});

test("a renewal that fails is tried again", async () => {
  await whilePaused(admin, async () => {
    gateway.status = 503;
    await new Promise((resolve) => setTimeout(resolve, 50));
    gateway.status = 200;
    gateway.events.length = 0;
    await until(() => gateway.events.includes("renew"));
  }, SHORT);
  assert.equal(gateway.leases.size, 0);
});

test("if creates are still being sent after the wait, nothing is changed, and creates go on", async () => {
  gateway.submitting = 2;
  let hasWorked = false;
  const work = async () => {
    hasWorked = true;
  };
  await assert.rejects(whilePaused(admin, work, SHORT), /2 creates are still being sent: nothing was changed/);
  assert.equal(hasWorked, false);
  assert.equal(gateway.leases.size, 0);
});

test("a failure of the work ends the pause, and is reported", async () => {
  await assert.rejects(whilePaused(admin, () => Promise.reject(new Error("the work failed")), SHORT), /the work failed/);
  assert.equal(gateway.leases.size, 0);
});

test("a pause that cannot be ended is named, and is no failure: it ends by itself", async () => {
  const lines = [];
  const { error } = console;
  console.error = (line) => lines.push(line);
  try {
    await whilePaused(admin, async () => {
      gateway.status = 503;
    }, SHORT);
  } finally {
    console.error = error;
  }
  assert.match(lines.at(-1), /^The pause pause_1 could not be ended: it ends by itself within 120 s/);
});

for (const [what, prepare, expected] of [
  ["the edge runs the version before", () => (gateway.versions = { edge: "old", dispatcher: "new" }), /not ready after 0\.06 s \(the edge answers with another version\)/],
  ["the Dispatcher runs the version before", () => (gateway.versions = { edge: "new", dispatcher: "old" }), /the Dispatcher runs another version/],
  ["the new version refuses its settings", () => (gateway.isReady = false), /status 503: \{"errors":\[\{"name":"POLICY"\}\]\}/],
]) {
  test(`a change fails if ${what}, ends the pause and prints the way back`, async () => {
    const lines = [];
    const { error } = console;
    console.error = (line) => lines.push(line);
    const apply = async () => {
      prepare();
      return { versionId: "new", url: gateway.url };
    };
    try {
      await assert.rejects(rollOut(admin, { apply, wayBack: "valetkey rollback old" }, SHORT), expected);
    } finally {
      console.error = error;
    }
    assert.ok(lines.some((line) => line.includes("valetkey rollback old")), lines.join("\n"));
    assert.equal(gateway.leases.size, 0);
  });
}

test("a version without operator's API has arrived once it is ready", async () => {
  const apply = async () => {
    gateway.status = 404;
    return { versionId: "old", url: gateway.url };
  };
  await rollOut(admin, { apply, wayBack: undefined }, SHORT);
});
