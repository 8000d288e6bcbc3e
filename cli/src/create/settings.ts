// The text of valetkey.jsonc and the secrets beside it.
import { newSigningKeys } from "../project/keys.ts";
import { CLI_SECRET, newSecret, OPERATOR_SECRET } from "../project/secrets.ts";
import { cliIssuer, operatorIssuer } from "../project/tokens.ts";
import { type Answers, BACKEND, GUESTS } from "./answers.ts";
import { PROVIDERS } from "./providers.ts";

/** The secret that the app's own backend signs with. */
export const BACKEND_SECRET = "APP_TOKEN_SECRET";
const BACKEND_ISSUER = "https://app.example.com";

const DEFAULT_PLAN = { requests_per_minute: 60, predictions_per_minute: 10, concurrent_predictions: 2, daily_credits: "50" };
const GUEST_PLAN = {
  requests_per_minute: 30,
  predictions_per_minute: 3,
  concurrent_predictions: 1,
  daily_credits: "5",
  pool_daily_credits: "50",
  pool_waiting_share: 0.25,
};
const MODELS = {
  "black-forest-labs/flux-kontext-max": {
    credits: "2.5",
    input: {
      prompt: { type: "string", required: true, max_length: 4000 },
      input_image: { type: "string", format: "file" },
      aspect_ratio: { type: "string", enum: ["1:1", "16:9", "9:16", "match_input_image"] },
    },
  },
};

/** Returns the entries of ISSUERS, each with a comment. */
function issuersOf({ signIn, provider, hasCliIssuer }: Answers): [string, object][] {
  const entries: [string, object][] = [];
  if (signIn === BACKEND) {
    const entry = { issuer: BACKEND_ISSUER, audience: ["valetkey"], keys: { secret: BACKEND_SECRET }, algorithms: ["HS256"], max_lifetime_secs: 300 };
    entries.push([`Your own backend: it signs with ${BACKEND_SECRET} of .dev.vars. "issuer" is the exact text of its tokens' iss.`, entry]);
  } else if (signIn !== GUESTS) {
    const { title, note, entry } = PROVIDERS[signIn] ?? { title: signIn, note: undefined, entry: () => ({}) };
    entries.push([`${title}.${note === undefined ? "" : ` ${note}`}`, entry(provider)]);
  }
  if (hasCliIssuer) {
    entries.push(["`valetkey token` and `valetkey picture`. Remove it where nobody should use them.", cliIssuer()]);
    entries.push(["`valetkey deploy`, `rollback`, `rotate`, `status` and `token --operator`. Its tokens operate the gateway, and create nothing.", operatorIssuer()]);
  }
  return entries;
}

/** Returns the text of valetkey.jsonc. */
export function settingsText(answers: Answers): string {
  const issuers = issuersOf(answers).map(([comment, entry]) => `    // ${comment}\n${indented(entry, 4)}`);
  const plans = { default: DEFAULT_PLAN, ...(answers.signIn === GUESTS && { guest: GUEST_PLAN }) };
  const own = answers.publicUrl === undefined ? "" : `
  // The gateway's own origin: guests' tokens name it as their issuer.
  "PUBLIC_URL": ${JSON.stringify(answers.publicUrl)},
`;
  return `// The settings of this gateway. \`npx --no-install valetkey check\` names every problem; an editor with JSON schemas explains each
// member. Secrets are in .dev.vars, never here.
{
  "$schema": "./valetkey.schema.json",

  // The origins of pages that may call the gateway, exactly as a browser sends them. Apps and servers need none.
  "ALLOWED_ORIGINS": ${oneLine(answers.origins)},
${own}
  // Whose tokens are accepted.
  "ISSUERS": [
${issuers.join(",\n")}
  ],

  // The plans of users, the models that they may use, and the prices.
  "POLICY": {
    // A user without a plan of this name has the plan "default". "daily_credits" is what each of its users may spend in a day.
    "plans": ${indented(plans, 4).trimStart()},
    // The models, the most that one picture costs, and their inputs. A client sees these rules at GET /v1/models.
    "models": ${indented(MODELS, 4).trimStart()},
    // The limits of your key at the vendor.
    "key": ${indented({ requests_per_minute: 60, concurrent_predictions: 5 }, 4).trimStart()}
  }
}
`;
}

/** Returns JSON as people write it: what fits on a line is on one. */
function indented(value: unknown, indent: number): string {
  const blank = " ".repeat(indent);
  const line = oneLine(value);
  if (line.length + indent <= 120 || typeof value !== "object" || value === null) return `${blank}${line}`;
  const isList = Array.isArray(value);
  const member = ([name, item]: [string, unknown]): string => `${blank}  ${JSON.stringify(name)}: ${indented(item, indent + 2).trimStart()}`;
  const items = isList ? value.map((item) => indented(item, indent + 2)) : Object.entries(value).map(member);
  return `${blank}${isList ? "[" : "{"}\n${items.join(",\n")}\n${blank}${isList ? "]" : "}"}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${oneLine(item)}`).join(", ")} }`;
}

/** What each secret is for. */
export const SECRET_COMMENTS: Record<string, string> = {
  DEEPCREATIVE_API_KEY: "The vendor's key.",
  [BACKEND_SECRET]: "Your backend signs its users' tokens with this text. Give it the same value.",
  [CLI_SECRET]: "`valetkey token` and `valetkey picture` sign with it.",
  [OPERATOR_SECRET]: "`valetkey deploy` and the other commands for operators sign with it.",
  TOKEN_SIGNING_KEYS: "The gateway signs guests' tokens with it.",
  TURNSTILE_SECRET: "Cloudflare Turnstile's secret key.",
};

/** Returns the secrets: those that were given, and new ones where they can be made here. */
export function secretsOf({ vendorKey, signIn, hasCliIssuer, turnstileSecret }: Answers): Record<string, string> {
  return {
    ...(vendorKey !== undefined && { DEEPCREATIVE_API_KEY: vendorKey }),
    ...(signIn === BACKEND && { [BACKEND_SECRET]: newSecret() }),
    ...(hasCliIssuer && { [CLI_SECRET]: newSecret(), [OPERATOR_SECRET]: newSecret() }),
    ...(signIn === GUESTS && { TOKEN_SIGNING_KEYS: newSigningKeys(), ...(turnstileSecret && { TURNSTILE_SECRET: turnstileSecret }) }),
  };
}

/** Returns the names of the secrets that a deployment needs. */
export function secretNames(answers: Answers): string[] {
  const guests = answers.signIn === GUESTS ? ["TURNSTILE_SECRET"] : [];
  return [...new Set(["DEEPCREATIVE_API_KEY", ...Object.keys(secretsOf(answers)), ...guests])];
}
