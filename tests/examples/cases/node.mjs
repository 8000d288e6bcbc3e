// examples/node: makes a picture from the command line, and says why when it cannot.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { run } from "../../support/program.mjs";
import { install } from "../pages.mjs";

const directory = install("node");

const environment = ({ stack }, more) => ({ PATH: process.env.PATH, VALETKEY_URL: stack.origin, SESSION_URL: `${stack.simulator.origin}/session`, ...more });
const makePicture = (world, args, more) => run(process.execPath, ["make-picture.mjs", ...args], { cwd: directory, env: environment(world, more) });

export default [
  [
    "node: a prompt becomes a picture",
    async (world) => {
      const { code, stdout, stderr } = await makePicture(world, ["A serene Japanese garden"]);
      assert.equal(code, 0, stderr);
      assert.equal((await fetch(stdout.trim())).headers.get("content-type"), "image/png");
      assert.match(stderr, /^processing\n/);
    },
  ],
  [
    "node: a failure is reported with its code, a refusal also with its request id",
    async (world) => {
      const failed = await makePicture(world, ["A garden [fail]"]);
      assert.equal(failed.code, 1);
      assert.match(failed.stderr, /\(upstream_failed\)\n$/);
      const refused = await makePicture(world, ["x".repeat(4_001)]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /\(invalid_parameter, request req_\w+\)\n$/);
      assert.equal(refused.stdout, "");
    },
  ],
  [
    "node: without a response it says how to repeat the command, and the repetition makes nothing twice",
    async (world) => {
      const lost = await makePicture(world, ["A garden"], { VALETKEY_URL: "http://127.0.0.1:9" });
      assert.equal(lost.code, 75);
      const key = /add (\w{32})\n$/.exec(lost.stderr)?.[1];
      const { next } = await world.stack.simulator.requests();
      const [first, second] = [await makePicture(world, ["A garden", key]), await makePicture(world, ["A garden", key])];
      assert.deepEqual([first.code, second.code, second.stdout], [0, 0, first.stdout]);
      const requests = await world.stack.simulator.vendorRequests(next);
      assert.equal(requests.filter(({ route }) => route === "create").length, 1);
    },
  ],
  [
    "node: SIGINT stops the waiting at once",
    async (world) => {
      const child = spawn(process.execPath, ["make-picture.mjs", "A garden [slow]"], { cwd: directory, env: environment(world), stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      for await (const piece of child.stderr) {
        said += piece;
        if (said === "processing\n") child.kill("SIGINT");
      }
      const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
      assert.equal(code, 130, said);
    },
  ],
  [
    "node: a wrong command prints the usage",
    async (world) => {
      const { code, stderr } = await makePicture(world, []);
      assert.equal(code, 2);
      assert.match(stderr, /^usage: /);
    },
  ],
];
