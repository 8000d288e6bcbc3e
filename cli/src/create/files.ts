// The other files of a new folder.
import { PACKAGE_NAME } from "../package.ts";
import { pinned } from "../project/pins.ts";
import { type Answers, BACKEND, GUESTS } from "./answers.ts";
import { BACKEND_SECRET, secretNames } from "./settings.ts";

/** The version of wrangler that a folder pins: the one that this version of the tool was tested with. */
export const WRANGLER_VERSION = "4.164.0";

/** Returns package.json. `source` is where npm finds this package: a version, or a file in vendor/. */
export function manifest(name: string, source: string): string {
  return json({
    name,
    private: true,
    type: "module",
    // Workers Builds and the button run `build` and `deploy`.
    scripts: { dev: "valetkey dev", check: "valetkey check", build: "valetkey check", deploy: "valetkey deploy" },
    engines: { node: ">=22.12" },
    devDependencies: { [PACKAGE_NAME]: source, wrangler: WRANGLER_VERSION },
  });
}

/** Returns wrangler.jsonc: what the Worker is, without settings. */
export function workerConfiguration(name: string): string {
  const configuration = pinned({
    $schema: "node_modules/wrangler/config-schema.json",
    name,
    main: `node_modules/${PACKAGE_NAME}/worker/index.js`,
    compatibility_date: "2026-10-01",
    compatibility_flags: ["enable_request_signal"],
    no_bundle: true,
    assets: {
      directory: `node_modules/${PACKAGE_NAME}/site`,
      binding: "ASSETS",
      run_worker_first: true,
      html_handling: "none",
      not_found_handling: "none",
    },
    durable_objects: {
      bindings: [
        { name: "LEDGER", class_name: "Ledger" },
        { name: "DISPATCHER", class_name: "Dispatcher" },
      ],
    },
    migrations: [{ tag: "v1", new_sqlite_classes: ["Ledger", "Dispatcher"] }],
    ratelimits: [{ name: "ADDRESS_RATE_LIMIT", namespace_id: "1001", simple: { limit: 60, period: 60 } }],
    triggers: { crons: ["* * * * *"] },
    observability: { enabled: true },
  });
  return `// What the Worker is, without settings: those are in valetkey.jsonc. \`valetkey check\` writes both together into
// .valetkey/wrangler.json, which wrangler reads in place of this file.
${json(configuration)}`;
}

export const GITIGNORE = `node_modules/
# Secrets.
.dev.vars
.dev.vars.*
!.dev.vars.example
# Written by \`valetkey\` and wrangler.
.valetkey/
.wrangler/
pictures/
`;

/** Without this, `npx valetkey` before `npm install` would run a package of that name from the registry: anybody's. */
export const NPMRC = `# npx runs what this folder has installed, and never fetches a package by the name of a command.
yes=false
`;

/** Returns .dev.vars.example: the "Deploy to Cloudflare" button asks for each of its names. */
export function secretsExample(answers: Answers): string {
  return `# The secrets of this gateway. The "Deploy to Cloudflare" button asks for each of them.\n${secretNames(answers).map((name) => `${name}=\n`).join("")}`;
}

/** Returns README.md. */
export function readme(name: string, answers: Answers): string {
  return `# ${name}

A Valetkey gateway: it keeps the vendor's key, and lends it to your users with short tokens and a
budget for each.

\`\`\`sh
npm install
npx --no-install valetkey dev --mock      # runs here, with a stand-in for the vendor
npx --no-install valetkey picture "A serene Japanese garden"
npx --no-install valetkey check           # every problem of the settings
npx --no-install valetkey deploy          # to your account at Cloudflare, in a pause that loses no picture
npx --no-install valetkey status          # what runs there
${answers.hasCliIssuer ? "npx --no-install valetkey token --operator    # signs you in at its page for operators, /admin/\n" : ""}npx --no-install valetkey rollback        # to the version before
npx --no-install valetkey rotate begin    # replaces the vendor's key
\`\`\`

| file | what it is |
|---|---|
| \`valetkey.jsonc\` | the settings, which you edit |
| \`.dev.vars\` | the secrets; git ignores it, and \`deploy\` uploads them |
| \`wrangler.jsonc\` | what the Worker is, without settings |

${signInText(answers)}

${ciText(answers)} A repository made from this folder also deploys by the "Deploy to Cloudflare" button and by Workers Builds:
build command \`npm run build\`, deploy command \`npm run deploy\`.
`;
}

function ciText({ hasCliIssuer, publicUrl }: Answers): string {
  if (!hasCliIssuer) return "CI needs `CLOUDFLARE_API_TOKEN` to deploy.";
  const address = publicUrl === undefined ? ", and the gateway's address as \"PUBLIC_URL\" in `valetkey.jsonc`" : "";
  return `CI needs \`CLOUDFLARE_API_TOKEN\` to deploy. To deploy in a pause it also needs \`VALETKEY_OPERATOR_SECRET\` of \`.dev.vars\`${address}.`;
}

function signInText({ signIn }: Answers): string {
  if (signIn === BACKEND) {
    return `Your backend signs a token of five minutes for each user, with \`${BACKEND_SECRET}\` of \`.dev.vars\`: HS256, with \`iss\`,
\`aud\`, \`sub\`, \`iat\` and \`exp\`. Set \`issuer\` in \`valetkey.jsonc\` to the \`iss\` that it writes.`;
  }
  if (signIn === GUESTS) {
    return "Visitors are guests: a page shows Cloudflare Turnstile's widget with the action `guest`, and exchanges its token at\n`/auth/token`.";
  }
  return "Your users sign in with your identity provider. The client sends its token.";
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
