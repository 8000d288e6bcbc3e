// examples/react: type-checks and builds it as its own `build` script does, then opens it in Chromium.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { findChromium } from "../../support/browser.mjs";
import { install } from "../pages.mjs";
import { journeys, Studio } from "../studio.mjs";

const MODULES = resolve(import.meta.dirname, "../../../node_modules");

export const missing = () => (findChromium() === undefined ? "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" : undefined);

let built;

function build({ stack }) {
  // As on a user's machine, the example has its own React, besides the one that clients/web resolves further up.
  const directory = install("react", ["react", "react-dom"]);
  const env = { ...process.env, VITE_VALETKEY_URL: stack.origin, VITE_SESSION_URL: `${stack.simulator.origin}/session` };
  const run = (script, ...args) => execFileSync(process.execPath, [join(MODULES, script), ...args], { cwd: directory, env, stdio: ["ignore", "ignore", "inherit"] });
  run("typescript/bin/tsc", "--noEmit");
  run("vite/bin/vite.js", "build", "--logLevel", "warn");
  return join(directory, "dist");
}

async function open(world, options) {
  built ??= build(world);
  world.pages.serve(built);
  return Studio.open(await world.browser(), world.pages.origin, options);
}

export default [
  ...journeys("react", open),
  [
    "react: a component that unmounts during a prediction leaves no error, and the picture is made",
    async (world) => {
      const { stack } = world;
      const studio = await open(world);
      const { next } = await stack.simulator.requests();
      await studio.submit("A garden that nobody waits for");
      await studio.waitFor("Making your picture…");
      await studio.page.getByRole("button", { name: "Hide the form" }).click();
      await studio.page.getByRole("button", { name: "Show the form" }).click();
      await studio.submit("Another garden");
      assert.ok((await studio.pictureWidth()) > 0);
      const creates = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create");
      assert.equal(creates.length, 2);
      assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "cancel").length, 0);
      const headers = { authorization: `Bearer ${await stack.simulator.token("alice")}` };
      const statuses = async () => (await (await fetch(`${stack.origin}/v1/predictions?limit=2`, { headers })).json()).data.map(({ status }) => status);
      while ((await statuses()).includes("processing")) await studio.page.waitForTimeout(200);
      assert.deepEqual(await statuses(), ["succeeded", "succeeded"]);
      await studio.assertClean(stack.vendorKey);
      await studio.context.close();
    },
  ],
];
