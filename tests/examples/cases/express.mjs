// examples/express: a backend in Express that signs tokens with `valetkey/server`; its adapter also in Fastify.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import Fastify from "fastify";
import { tokenHandler } from "../../../clients/web/dist/server.js";
import { adapt } from "../../../examples/express/adapter.mjs";
import { findChromium } from "../../support/browser.mjs";
import { Service } from "../../support/processes.mjs";
import { install } from "../pages.mjs";
import { backendEnvironment, installPage, signedInJourneys } from "../signed_in.mjs";

const ROOT = resolve(import.meta.dirname, "../../..");
const SECRET = "0123456789abcdef0123456789abcdef";

export const missing = () => (findChromium() === undefined ? "no Chromium (set CHROMIUM_BIN or install Debian's chromium)" : undefined);

let started;

function open({ stack, services }) {
  started ??= (async () => {
    installPage();
    const env = { ...backendEnvironment(stack), PORT: "0" };
    const service = new Service("express", process.execPath, [join(install("express"), "server.mjs")], env);
    services.push(service);
    return (await service.line(/^(http:\S+)\/$/m))[1];
  })();
  return started;
}

export default [
  ...signedInJourneys("express", open),
  [
    "express: a sign-in without a name that fits is a 400, and no session",
    async (world) => {
      const origin = await open(world);
      const json = { "content-type": "application/json" };
      for (const request of [{}, { headers: json, body: "{}" }, { headers: json, body: '{"name":7}' }, { headers: json, body: JSON.stringify({ name: "x".repeat(256) }) }]) {
        const { status, headers } = await fetch(`${origin}/sign-in`, { method: "POST", ...request });
        assert.deepEqual([status, headers.get("set-cookie")], [400, null], request.body);
      }
    },
  ],
  [
    "express: the adapter serves Fastify too, has at most 16 lines, and is what the page shows",
    async () => {
      const app = Fastify();
      const options = { secret: SECRET, issuer: "https://app.example.com", audience: "valetkey" };
      app.post("/valetkey-token", adapt(tokenHandler({ ...options, user: (request, { headers }) => (request.method === "POST" && headers["x-user"]) || null })));
      try {
        const ask = (headers) => app.inject({ method: "POST", url: "/valetkey-token?x=1", headers });
        const [signedIn, signedOut] = [await ask({ "x-user": "u1" }), await ask({})];
        assert.deepEqual([signedIn.statusCode, signedIn.headers["cache-control"]], [200, "no-store"]);
        assert.match(signedIn.headers["content-type"], /^application\/json/);
        assert.match(signedIn.json().token, /^eyJ/);
        assert.deepEqual([signedOut.statusCode, signedOut.headers["cache-control"]], [401, "no-store"]);
      } finally {
        await app.close();
      }
      const adapter = readFileSync(join(ROOT, "examples/express/adapter.mjs"), "utf8");
      assert.ok(adapter.trimEnd().split("\n").length <= 16, "16 lines");
      assert.ok(readFileSync(join(ROOT, "docs/identity.md"), "utf8").includes(adapter), "docs/identity.md shows examples/express/adapter.mjs");
    },
  ],
];
