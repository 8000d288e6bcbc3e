// An app with a backend of its own, from sign-in to picture: what the examples of such backends have in common.
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { signToken } from "../browser/tokens.mjs";
import { Studio } from "./studio.mjs";

const ROOT = resolve(import.meta.dirname, "../..");

/** The settings that the examples of backends read, for the Worker and the issuer of a stack. */
export function backendEnvironment({ origin, session }) {
  return {
    PATH: process.env.PATH,
    VALETKEY_URL: origin,
    APP_TOKEN_SECRET: session.SESSION_SECRET,
    APP_TOKEN_ISSUER: session.SESSION_ISSUER,
    APP_TOKEN_AUDIENCE: session.SESSION_AUDIENCE,
  };
}

/** Copies examples/page, with the client beside it as its users put it there, to dist/examples/page. */
export function installPage() {
  const page = join(ROOT, "dist/examples/page");
  rmSync(page, { recursive: true, force: true });
  mkdirSync(page, { recursive: true });
  cpSync(join(ROOT, "examples/page"), page, { recursive: true });
  copyFileSync(join(ROOT, "clients/web/dist/valetkey.min.js"), join(page, "valetkey.js"));
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Asks the endpoint of tokens. `session` is the value of the session's cookie. The body claims to be somebody. */
function askToken(url, session) {
  const headers = { "content-type": "application/json", "x-user": "admin", ...(session !== undefined && { cookie: `session=${session}` }) };
  return fetch(url, { method: "POST", headers, body: JSON.stringify({ sub: "admin", user: "admin", name: "admin" }) });
}

/**
 * Returns the tests of a backend with a page. `open(world)` starts it once and returns its origin. `tokenPath` is the path
 * of its endpoint for tokens.
 */
export function signedInJourneys(name, open, tokenPath = "/valetkey-token") {
  return [
    [
      `${name}: from sign-in to picture, made once and for the user of the session`,
      async (world) => {
        const { stack } = world;
        const origin = await open(world);
        const { next } = await stack.simulator.requests();
        const studio = await Studio.open(await world.browser(), origin, { viewport: { width: 720, height: 900 } });
        await studio.submit("A garden of nobody");
        await studio.waitFor("Sign in first.");
        await studio.page.getByLabel("Name").fill(`${name}-user`);
        await studio.page.getByRole("button", { name: "Sign in" }).click();
        await studio.waitFor(`Signed in as ${name}-user.`);
        await studio.submit("A serene Japanese garden");
        assert.ok((await studio.pictureWidth()) > 0);
        assert.equal(await studio.status.innerText(), "Your picture is ready.");
        assert.equal((await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create").length, 1);
        const [{ value, httpOnly }] = (await studio.context.cookies()).filter(({ name }) => name === "session");
        assert.equal(httpOnly, true, "no script reads the session");
        const answer = await askToken(origin + tokenPath, value);
        const { sub, iat, exp } = JSON.parse(Buffer.from((await answer.json()).token.split(".")[1], "base64url"));
        assert.deepEqual([answer.status, answer.headers.get("cache-control"), sub, exp - iat], [200, "no-store", `${name}-user`, 300]);
        await studio.screenshot(name);
        await studio.assertClean(stack.vendorKey);
        await studio.context.close();
      },
    ],
    [
      `${name}: without a session there is no token, whatever the request claims, and the refusal is not cached`,
      async (world) => {
        const origin = await open(world);
        const { session } = world.stack;
        // Who may sign tokens must not be able to make sessions.
        const ownToken = signToken({ ...session, SESSION_AUDIENCE: "session" }, { sub: "admin" });
        const unsigned = `${encoded({ alg: "none" })}.${encoded({ sub: "admin", exp: 4e9 })}.`;
        for (const value of [undefined, "", "guessed", "__proto__", "constructor", "null", ownToken, unsigned]) {
          const answer = await askToken(`${origin}${tokenPath}?sub=admin&name=admin`, value);
          assert.deepEqual([answer.status, answer.headers.get("cache-control")], [401, "no-store"], value);
          assert.doesNotMatch(await answer.text(), /eyJ/);
        }
        const read = await fetch(origin + tokenPath, { redirect: "manual" });
        assert.ok(read.status >= 400, "a GET, which a link of another page can send");
      },
    ],
    [
      `${name}: axe finds no violation`,
      async (world) => {
        // The page's content security policy blocks axe, as it should; the policy is not under test here.
        const studio = await Studio.open(await world.browser(), await open(world), { bypassCSP: true });
        await studio.assertAccessible("signed out");
        await studio.context.close();
      },
    ],
  ];
}
