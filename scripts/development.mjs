// Settings of a Worker that runs against the simulator on this machine, for `make dev` and for tests/support/stack.mjs.
import { operatorIssuer } from "../cli/src/project/tokens.ts";

/** Returns a wrangler configuration of the built Worker. `site` is the folder of its static assets. */
export function wranglerConfig(root, site) {
  return {
    name: "valetkey-dev",
    main: `${root}/build/index.js`,
    compatibility_date: "2026-10-01",
    compatibility_flags: ["enable_request_signal"],
    assets: { directory: site, binding: "ASSETS", run_worker_first: true, html_handling: "none", not_found_handling: "none" },
    durable_objects: {
      bindings: [
        { name: "LEDGER", class_name: "Ledger" },
        { name: "DISPATCHER", class_name: "Dispatcher" },
      ],
    },
    migrations: [{ tag: "v1", new_sqlite_classes: ["Ledger", "Dispatcher"] }],
  };
}

const ISSUER = {
  issuer: "http://127.0.0.1/demo",
  audience: ["demo"],
  keys: { secret: "SESSION_SECRET" },
  algorithms: ["HS256"],
};

const POLICY = {
  plans: {
    default: { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "500" },
  },
  models: {
    "black-forest-labs/flux-kontext-max": {
      credits: "2.5",
      input: {
        prompt: { type: "string", required: true, max_length: 4000 },
        input_image: { type: "string", format: "file" },
        aspect_ratio: { type: "string", enum: ["1:1", "16:9", "9:16", "match_input_image"] },
      },
    },
  },
};

/**
 * Returns the text of a .dev.vars file.
 *
 * - `operatorSecret`: signs operators' tokens; without it there are no operators
 * - `simulator`: origin of the simulator, which is the vendor and the app's backend in one
 * - `plans`: added to the policy's plans
 * - `key`: the policy's `key`, the limits of the vendor key
 * - `changes`: settings that replace or extend the others; `undefined` leaves one out
 */
export function developmentVars({ vendorKey, sessionSecret, operatorSecret, simulator, demo = "on", plans = {}, key, changes = {} }) {
  const settings = {
    DEEPCREATIVE_API_KEY: vendorKey,
    SESSION_SECRET: sessionSecret,
    UPSTREAM_URL: `${simulator}/v1`,
    // For the demo page's content security policy. On a loopback host the Worker allows every page of this machine.
    ALLOWED_ORIGINS: simulator,
    ISSUERS: JSON.stringify(operatorSecret === undefined ? [ISSUER] : [ISSUER, operatorIssuer()]),
    VALETKEY_OPERATOR_SECRET: operatorSecret,
    POLICY: JSON.stringify({ ...POLICY, plans: { ...POLICY.plans, ...plans }, key }),
    DEMO: demo,
    DEMO_SESSION_URL: `${simulator}/session`,
    ...changes,
  };
  return Object.entries(settings).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}='${value}'\n`).join("");
}
