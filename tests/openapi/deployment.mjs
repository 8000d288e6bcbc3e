// The deployment under test: every operation in the document is on, and no limit is ever reached.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { SignJWT } from "jose";

const ISSUER = "http://127.0.0.1/openapi-test";
const AUDIENCE = "openapi-test";
/**
 * Operators with the same rights. An operator has 240 requests a minute, so hooks.py sends each request as the next one of them: one
 * alone would be refused most of the time.
 */
const OPERATORS = Array.from({ length: 60 }, (_, index) => `operator${index}`);
/** The users that send requests. */
export const USER_CALLERS = ["alice", "bob"];
const TOKEN_LIFETIME_SECS = 3_600;
const NEVER_REACHED = 1_000_000;

export const MODEL = { owner: "black-forest-labs", name: "flux-kontext-max" };

/** The model that the run pauses. Nothing creates predictions of it. */
export const PAUSED_MODEL = "acme/paused";

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
  models: { [`${MODEL.owner}/${MODEL.name}`]: { credits: "0.01", ...RULES }, [PAUSED_MODEL]: { credits: "1", input: {} } },
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
          admins: Object.fromEntries(OPERATORS.map((name) => [name, ["read", "write"]])),
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

  /** Returns a token of each operator. */
  operatorTokens() {
    return Promise.all(OPERATORS.map((name) => this.token(name)));
  }

  /** Returns two users and an operator with this token in the format that schemathesis reads (Web Fuzzing Commons). */
  async callers(operatorToken) {
    const caller = (name, token) => ({ name, fixedHeaders: [{ name: "Authorization", value: `Bearer ${token}` }] });
    const [alice, bob] = await Promise.all(USER_CALLERS.map(async (name) => caller(name, await this.token(name))));
    return { auth: [alice, caller(OPERATORS[0], operatorToken), bob] };
  }
}
