// Starts the stack for the tests of the clients. Unlike in `make dev`, the Worker signs tokens of its own, which can be
// bound to a DPoP key, and the limits are high.
import { generateKeyPairSync } from "node:crypto";
import { startStack } from "../support/stack.mjs";

export const MODEL = "black-forest-labs/flux-kontext-max";

const ISSUER = {
  issuer: "http://127.0.0.1/demo",
  audience: ["demo"],
  keys: { secret: "SESSION_SECRET" },
  algorithms: ["HS256"],
  use: ["access", "exchange"],
};

const PLAN = { requests_per_minute: 6000, predictions_per_minute: 1000, concurrent_predictions: 5, daily_credits: "5000" };

const POLICY = {
  plans: {
    default: PLAN,
    // For tests in which a client has to wait.
    narrow: { ...PLAN, predictions_per_minute: 60, concurrent_predictions: 1 },
    poor: { ...PLAN, daily_credits: "2.5" },
  },
  models: {
    [MODEL]: {
      credits: "2.5",
      input: {
        prompt: { type: "string", required: true, max_length: 4000 },
        input_image: { type: "string", format: "file" },
      },
    },
  },
  key: { requests_per_minute: 6000, concurrent_predictions: 50 },
};

function signingKeys() {
  const { kty, crv, x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return JSON.stringify({ keys: [{ kty, crv, kid: "test-1", x, d }] });
}

/** `origins` are allowed for CORS. `publicUrl` is the URL that clients call, if it is not the Worker's own. */
export function startClientStack({ origins = [], publicUrl } = {}) {
  return startStack({
    settings: (origin) => ({
      ISSUERS: JSON.stringify([ISSUER]),
      POLICY: JSON.stringify(POLICY),
      PUBLIC_URL: publicUrl ?? origin,
      TOKEN_SIGNING_KEYS: signingKeys(),
      ...(origins.length > 0 && { ALLOWED_ORIGINS: origins.join(",") }),
    }),
  });
}
