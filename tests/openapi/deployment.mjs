// The deployment under test: every operation in the document is on, and no limit is ever reached.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { SignJWT } from "jose";

const ISSUER = "http://127.0.0.1/openapi-test";
const AUDIENCE = "openapi-test";
const OPERATOR = "operator";
const TOKEN_LIFETIME_SECS = 3_600;
const NEVER_REACHED = 1_000_000;

export const MODEL = { owner: "black-forest-labs", name: "flux-kontext-max" };

/** The model's policy: the most images of one create, and the rules of its inputs. */
export const RULES = {
  max_image_count: 4,
  input: {
    prompt: { type: "string", required: true, max_length: 200 },
    aspect_ratio: { type: "string", enum: ["1:1", "16:9", "9:16"] },
    steps: { type: "integer", min: 1, max: 50 },
    raw: { type: "boolean" },
  },
};

const POLICY = {
  plans: {
    default: {
      requests_per_minute: NEVER_REACHED,
      predictions_per_minute: NEVER_REACHED,
      concurrent_predictions: NEVER_REACHED,
      daily_credits: String(NEVER_REACHED),
      max_waiting: NEVER_REACHED,
    },
  },
  models: { [`${MODEL.owner}/${MODEL.name}`]: { credits: "0.01", ...RULES } },
  key: { requests_per_minute: NEVER_REACHED, concurrent_predictions: 1_000, queue: { max_waiting: 10_000 } },
};

export class Deployment {
  issuer = ISSUER;
  #secret = randomBytes(48).toString("base64url");
  #signingKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });

  /** Returns the settings of the Worker at `origin`. */
  settings(origin) {
    return {
      PUBLIC_URL: origin,
      ISSUERS: JSON.stringify([
        {
          issuer: ISSUER,
          audience: [AUDIENCE],
          keys: { secret: "OPENAPI_TEST_SECRET" },
          algorithms: ["HS256"],
          use: ["access", "exchange", "admin"],
          max_lifetime_secs: TOKEN_LIFETIME_SECS,
          admins: { [OPERATOR]: ["read", "write"] },
        },
      ]),
      OPENAPI_TEST_SECRET: this.#secret,
      TOKEN_SIGNING_KEYS: JSON.stringify({ keys: [{ ...this.#signingKey, kid: "1", alg: "EdDSA", use: "sig" }] }),
      POLICY: JSON.stringify(POLICY),
    };
  }

  /** Signs a token of `subject` that outlives the test. */
  token(subject) {
    const now = Math.floor(Date.now() / 1_000);
    return new SignJWT()
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(subject)
      .setJti(randomBytes(16).toString("hex"))
      .setIssuedAt(now)
      .setExpirationTime(now + TOKEN_LIFETIME_SECS)
      .sign(Buffer.from(this.#secret));
  }

  /** Returns two users and the operator in the format that schemathesis reads (Web Fuzzing Commons). */
  async callers() {
    const caller = async (name) => ({ name, fixedHeaders: [{ name: "Authorization", value: `Bearer ${await this.token(name)}` }] });
    return { auth: await Promise.all(["alice", OPERATOR, "bob"].map(caller)) };
  }
}
