// examples/web: the page without a framework or a build step, in Chromium.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { findChromium } from "../../support/browser.mjs";
import { install } from "../pages.mjs";
import { journeys, Studio } from "../studio.mjs";

const CLIENT = resolve(import.meta.dirname, "../../../clients/web/dist/valetkey.min.js");

export const missing = () => (findChromium() === undefined ? "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" : undefined);

async function open({ stack, pages, browser }, options) {
  const directory = install("web");
  copyFileSync(CLIENT, join(directory, "valetkey.js"));
  const settings = join(directory, "settings.js");
  const here = readFileSync(settings, "utf8").replace("http://127.0.0.1:8787", stack.origin).replace("http://127.0.0.1:8788", stack.simulator.origin);
  writeFileSync(settings, here);
  pages.serve(directory);
  return Studio.open(await browser(), pages.origin, options);
}

export default journeys("web", open);
