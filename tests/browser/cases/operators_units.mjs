// The pure parts of the operator's page, without a browser. Node strips the types from the page's sources.
import assert from "node:assert/strict";
import { ApiProblem, Api } from "../../../site/admin/src/api.ts";
import { bars, steps, top } from "../../../site/admin/src/chart.ts";
import { byDay } from "../../../site/admin/src/days.ts";
import { History } from "../../../site/admin/src/history.ts";
import { delayAfter, Poller } from "../../../site/admin/src/poller.ts";
import { readUsers, SpendReader } from "../../../site/admin/src/reads.ts";
import { countText, lastDays, leftText, numberText, problemText, shortKey, timeText } from "../../../site/admin/src/text.ts";

const at = (minute) => minute * 60_000;

export default [
  [
    "operators: texts of times, numbers and keys",
    () => {
      assert.equal(timeText("2026-11-30T19:42:10Z"), "Nov 30, 19:42:10");
      assert.equal(timeText("2026-11-30T19:42:10.750Z"), "Nov 30, 19:42:10");
      assert.equal(timeText("<b>"), "<b>");
      assert.deepEqual(lastDays("2026-03-01", 3), ["2026-02-27", "2026-02-28", "2026-03-01"]);
      const now = "2026-11-30T19:42:10Z";
      const left = (seconds) => leftText(new Date(Date.parse(now) + seconds * 1_000).toISOString(), now);
      assert.deepEqual([-5, 0, 0.2, 59, 60, 3_599, 3_600, 90_061].map(left), ["0 s", "0 s", "1 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 1 min"]);
      assert.equal(leftText("soon", now), "");
      assert.deepEqual(["0", "999", "1000", "1234567.125", 12.5].map(numberText), ["0", "999", "1,000", "1,234,567.125", "12.5"]);
      assert.deepEqual([countText(1, "user"), countText(0, "user"), countText(1_500, "user")], ["1 user", "0 users", "1,500 users"]);
      assert.deepEqual([shortKey("short"), shortKey("0123456789abcdef")], ["short", "0123456789ab…"]);
      assert.equal(problemText(new ApiProblem("teapot", { status: 418, requestId: "req_1" })), "The service answered 418 (teapot). (req_1)");
    },
  ],
  [
    "operators: a chart’s scale covers its values, and its bars stay inside it",
    () => {
      assert.deepEqual([[], [0], [1], [1.5], [3], [5], [5.01], [10], [999], [1_000_001]].map(top), [1, 1, 1, 2, 5, 5, 10, 10, 1_000, 2_000_000]);
      const values = [0, 2, 5].map((value) => ({ label: "", value }));
      for (const { x, y, width, height } of bars(values)) assert.ok(x >= 0 && x + width <= 100 && y >= 0 && Math.abs(y + height - 100) < 1e-9);
      assert.deepEqual(bars(values).map(({ height }) => height), [0, 40, 100]);
      // A value holds until the next one.
      assert.equal(steps([{ at: 0, value: 0 }, { at: 50, value: 10 }, { at: 100, value: 5 }], 0, 100, 10), "0.00,100.00 50.00,100.00 50.00,0.00 100.00,0.00 100.00,50.00");
      assert.equal(steps([{ at: 7, value: 1 }], 7, 7, 1), "0.00,0.00");
    },
  ],
  [
    "operators: days without a row are 0, and sums have six decimals",
    () => {
      const days = byDay([{ day: "2026-11-30", value: 0.1 }, { day: "2026-11-30", value: 0.2 }, { day: "2026-10-01", value: 5 }], "2026-11-30");
      assert.equal(days.length, 30);
      assert.deepEqual(days.at(-1), { label: "Nov 30", value: 0.3 });
      assert.equal(days.slice(0, -1).every(({ value }) => value === 0), true);
    },
  ],
  [
    "operators: the live chart keeps ten minutes, and the value at their start",
    () => {
      const history = new History();
      for (let minute = 0; minute <= 12; minute += 1) history.add({ at: at(minute), value: minute });
      const samples = history.add({ at: at(13), value: 13 });
      assert.deepEqual([samples[0], samples[1], samples.at(-1)], [{ at: at(3), value: 3 }, { at: at(4), value: 4 }, { at: at(13), value: 13 }]);
      // A page that slept shows one value over the whole time, and then the next.
      assert.deepEqual(history.add({ at: at(100), value: 1 }), [{ at: at(90), value: 13 }, { at: at(100), value: 1 }]);
      history.clear();
      assert.deepEqual(history.add({ at: at(101), value: 2 }), [{ at: at(101), value: 2 }]);
    },
  ],
  [
    "operators: the back-off doubles, ends at a minute, and follows Retry-After",
    () => {
      assert.deepEqual([0, 1, 2, 3, 4, 5, 500].map((failures) => delayAfter(failures, 4_000)), [4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
      assert.equal(delayAfter(1, 4_000, 90), 90_000);
      assert.equal(delayAfter(3, 4_000, 1), 32_000);
    },
  ],
  [
    "operators: a poll that was overtaken by a stop or a start sets no timer",
    async () => {
      const timers = new Map();
      const surroundings = { setTimer: (run, ms) => timers.set(timers.size + 1, { run, ms }).size, clearTimer: (timer) => timers.delete(timer), isVisible: () => true };
      const answers = [];
      const poller = new Poller(() => new Promise((resolve, reject) => answers.push({ resolve, reject })), 4_000, surroundings);
      const settled = () => new Promise((resolve) => setImmediate(resolve));
      const failures = [];
      poller.onFailure = (problem) => failures.push(problem.code);
      poller.start();
      poller.start();
      answers[0].resolve();
      await settled();
      assert.equal(timers.size, 0, "the first run is over, the second is not");
      answers[1].resolve();
      await settled();
      assert.deepEqual([...timers.values()].map(({ ms }) => ms), [4_000]);
      timers.get(1).run();
      poller.stop();
      answers[2].reject(new ApiProblem("network"));
      await settled();
      assert.deepEqual([timers.size, failures], [0, []]);
    },
  ],
  [
    "operators: a refusal says its code, its request id, when to try again, and which value was not accepted",
    async () => {
      const error = { type: "invalid_request_error", message: "-", code: "invalid_parameter", request_id: "req_1", details: { param: "model", rule: "enum" } };
      const answers = [
        Response.json({ error }, { status: 400, headers: { "x-request-id": "req_1" } }),
        Response.json({ error: { code: "rate_limited" } }, { status: 429, headers: { "retry-after": "7" } }),
        new Response("<html>", { status: 502 }),
        new Response("not JSON"),
      ];
      const api = new Api(async () => answers.shift());
      const problem = async () => {
        const { code, status, requestId, retryAfterSecs, param } = await api.write("POST", "pause", {}).catch((thrown) => thrown);
        return [code, status, requestId, retryAfterSecs, param];
      };
      assert.deepEqual(await problem(), ["invalid_parameter", 400, "req_1", undefined, "model"]);
      assert.deepEqual(await problem(), ["rate_limited", 429, undefined, 7, undefined]);
      assert.deepEqual(await problem(), ["unreadable_answer", 502, undefined, undefined, undefined]);
      assert.deepEqual(await problem(), ["unreadable_answer", 200, undefined, undefined, undefined]);
      assert.equal((await new Api(() => Promise.reject(new TypeError())).get("state").catch((thrown) => thrown)).code, "network");
    },
  ],
  [
    "operators: days that do not change any more are read once a day, and not by the next operator from the last one's memory",
    async () => {
      const asked = [];
      const reader = new SpendReader(new Api(async (path) => {
        asked.push(path.replace("/admin/api/spend?by=day&", ""));
        const [, from, to] = /from=(.*)&to=(.*)/.exec(path);
        return Response.json({ data: [from, to].map((day) => ({ day, credits: String(asked.length), predictions: 1 })), next_cursor: null });
      }));
      const days = async (today) => (await reader.read(today, 30)).map(({ day, credits }) => [day, credits]);
      assert.deepEqual(await days("2026-11-30"), [["2026-11-01", "1"], ["2026-11-30", "1"]]);
      assert.deepEqual(await days("2026-11-30"), [["2026-11-01", "1"], ["2026-11-30", "2"], ["2026-11-29", "2"]]);
      assert.deepEqual(await days("2026-12-01"), [["2026-11-02", "3"], ["2026-12-01", "3"]]);
      reader.clear();
      assert.deepEqual(await days("2026-12-01"), [["2026-11-02", "4"], ["2026-12-01", "4"]]);
      assert.deepEqual(asked, ["from=2026-11-01&to=2026-11-30", "from=2026-11-29&to=2026-11-30", "from=2026-11-02&to=2026-12-01", "from=2026-11-02&to=2026-12-01"]);
    },
  ],
  [
    "operators: the users of a day are read in pages, a bounded number of them",
    async () => {
      const asked = [];
      const api = (pages) => new Api(async (path) => {
        asked.push(path);
        const number = asked.length;
        return Response.json({ data: [{ user: String(number), credits: "1", predictions: 1 }], next_cursor: number === pages ? null : `a&b${number}` });
      });
      const two = await readUsers(api(2), "2026-11-30");
      assert.deepEqual([two.rows.length, two.isWhole], [2, true]);
      assert.equal(asked[1], "/admin/api/spend?by=user&from=2026-11-30&to=2026-11-30&limit=1000&cursor=a%26b1");
      asked.length = 0;
      const endless = await readUsers(api(Infinity), "2026-11-30");
      assert.deepEqual([endless.rows.length, endless.isWhole], [5, false]);
    },
  ],
];
