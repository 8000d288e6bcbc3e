// A Worker as it is deployed: called over https by a public name, with the vendor's and Turnstile's real URLs. The simulator
// answers in their place. One stack for each way in which the demo page can get its tokens.
import { generateKeyPairSync } from "node:crypto";
import { findChromium, launch } from "../support/browser.mjs";
import { startStack } from "../support/stack.mjs";
import { DemoPage } from "./page.mjs";

const HOST = "valetkey.example.com";
export const ORIGIN = `https://${HOST}`;
const APP = "https://app.example.com";
export const SESSION_URL = `${APP}/valetkey-token`;
export const SITE_KEY = "0x4AAAAAAADemoSiteKey";
/** Where the vendor keeps its pictures: another origin, over https. */
const PICTURES = "https://pictures.example.com";
const TURNSTILE = "https://challenges.cloudflare.com";

const PLAN = { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "50" };
const GUEST = { ...PLAN, daily_credits: "10", pool_daily_credits: "100", pool_waiting_share: 0.5 };

function signingKeys() {
  const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return JSON.stringify({ keys: [{ kty, crv, kid: "test", x, d }] });
}

/** Settings of each way. */
const WAYS = {
  session: { DEMO_SESSION_URL: SESSION_URL },
  guest: { TOKEN_SIGNING_KEYS: signingKeys(), TURNSTILE_SECRET: "turnstile-secret-of-the-simulator", TURNSTILE_SITE_KEY: SITE_KEY },
  pasted: {},
};

/** Starts a deployment with this way, and a browser that reaches it by its name. */
export async function startDeployed(way, changes = {}) {
  const issuer = { issuer: APP, audience: ["valetkey"], keys: { secret: "SESSION_SECRET" }, algorithms: ["HS256"] };
  const settings = {
    UPSTREAM_URL: undefined,
    DEMO_SESSION_URL: undefined,
    PUBLIC_URL: ORIGIN,
    ALLOWED_ORIGINS: APP,
    ISSUERS: JSON.stringify([issuer]),
    ...WAYS[way],
    ...changes,
  };
  const stack = await startStack({ host: HOST, session: { SESSION_ISSUER: APP, SESSION_AUDIENCE: "valetkey" }, plans: { default: PLAN, guest: GUEST }, settings: () => settings });
  await stack.simulator.settings({ outputs_base_url: PICTURES });
  const { host } = new URL(stack.origin);
  const browser = await launch(findChromium(), [`--host-resolver-rules=MAP ${HOST} ${host}`]);
  return {
    stack,
    browser,
    stop: async () => {
      await browser.close();
      await stack.stop();
    },
  };
}

/**
 * Opens the demo page. `sessions` lists the requests to the app's backend, which `cookie` of the app's own site
 * authenticates; `scripts` the requests to Turnstile.
 */
export async function openDeployed({ stack, browser }, options = {}) {
  const seen = { sessions: [], scripts: [] };
  const demo = await DemoPage.open({ stack, browser }, {
    origin: ORIGIN,
    ignoreHTTPSErrors: true,
    ...options,
    prepare: async (context) => {
      await options.prepare?.(context);
      await context.route(`${PICTURES}/**`, (route) => toSimulator(route, stack));
      await context.route(SESSION_URL, (route) => answerSession(route, stack, seen.sessions));
      await context.route(`${TURNSTILE}/**`, (route) => answerTurnstile(route, seen.scripts));
    },
  });
  return Object.assign(demo, seen);
}

/** The vendor's pictures, with the CORS header of the simulator. */
async function toSimulator(route, { simulator }) {
  const { pathname } = new URL(route.request().url());
  const answer = await fetch(simulator.origin + pathname);
  const body = Buffer.from(await answer.arrayBuffer());
  return route.fulfill({ status: answer.status, headers: Object.fromEntries(answer.headers), body });
}

/** The app's backend, with the headers that docs/deploy.md asks for. It names the user itself. */
async function answerSession(route, { simulator }, sessions) {
  const request = route.request();
  const headers = { "access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true", "access-control-allow-headers": "content-type" };
  if (request.method() !== "POST") return route.fulfill({ status: 204, headers });
  sessions.push({ body: request.postDataJSON(), origin: request.headers()["origin"] });
  return route.fulfill({ status: 200, headers, json: { token: await simulator.token("alice@example.com") } });
}

/**
 * Plays Turnstile's script and frame. It behaves as its documentation says: `render` draws a frame into the box and calls back
 * with a token, and `reset` asks again.
 */
function answerTurnstile(route, scripts) {
  const { pathname } = new URL(route.request().url());
  scripts.push(route.request().url());
  if (pathname !== "/turnstile/v0/api.js") return route.fulfill({ contentType: "text/html", body: FRAME });
  return route.fulfill({ contentType: "text/javascript", body: `(${script})(${JSON.stringify(`${TURNSTILE}/frame`)});` });
}

const FRAME = `<!doctype html><meta charset="utf-8"><body style="font: 14px system-ui; margin: 0; padding: 20px; background: #fafafa; border: 1px solid #e0e0e0; height: 63px; box-sizing: border-box">✔ Success!</body>`;

/** Runs in the page. */
function script(frameUrl) {
  const answer = ({ callback, action }) => setTimeout(callback, 50, `guest/${location.hostname}/${action}/${Math.random()}`);
  const drawn = [];
  globalThis.turnstile = {
    render(box, options) {
      const frame = document.createElement("iframe");
      Object.assign(frame, { src: frameUrl, title: "Turnstile", width: "300", height: "65" });
      frame.style.border = "0";
      box.append(frame);
      drawn.push(options);
      answer(options);
      return "widget";
    },
    reset: () => answer(drawn[0]),
  };
}
