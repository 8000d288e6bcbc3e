// The ways to sign in that `create` knows, as docs/identity.md describes them, and the entry of ISSUERS for each.

/** A question about a provider, which is also a flag. */
export interface Question {
  flag: "audience" | "domain" | "project" | "pool" | "client-id" | "tenant";
  text: string;
  example: string;
  /** What an answer may be. Another one would end up in the middle of a URL. */
  form: RegExp;
}

export interface Provider {
  title: string;
  questions: Question[];
  /** Returns the entry of ISSUERS. */
  entry(answers: Record<string, string>): object;
  /** What to set at the provider. */
  note?: string;
}

const HOUR = { max_lifetime_secs: 3_600 };
const RS256 = ["RS256"];

const ID = /^[\w.:-]+$/;
const domain = (example: string): Question => ({ flag: "domain", text: "The domain, without https://", example, form: /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/ });
const audience = (text: string, example: string): Question => ({ flag: "audience", text, example, form: /^[\u0021-\u007e]+$/ });
const clientId = (example: string): Question => ({ flag: "client-id", text: "The client id", example, form: ID });
const project = (text: string, example: string): Question => ({ flag: "project", text, example, form: ID });

/** The providers by the value of --sign-in. `docs/identity.md` has each of these entries. */
export const PROVIDERS: Record<string, Provider> = {
  auth0: {
    title: "Auth0",
    questions: [domain("example-app.eu.auth0.com"), audience("The API's identifier", "https://pictures.example")],
    entry: ({ domain, audience }) => ({
      issuer: `https://${domain}/`,
      audience: [audience],
      keys: { jwks_url: `https://${domain}/.well-known/jwks.json` },
      algorithms: RS256,
      ...HOUR,
    }),
    note: "Set the API's Token Expiration to 3,600 seconds (the default is a day), and its signing algorithm to RS256.",
  },
  firebase: {
    title: "Firebase Authentication",
    questions: [project("The project's id", "example-app")],
    entry: ({ project }) => ({
      issuer: `https://securetoken.google.com/${project}`,
      audience: [project],
      keys: { jwks_url: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com" },
      algorithms: RS256,
      ...HOUR,
    }),
  },
  supabase: {
    title: "Supabase",
    questions: [project("The project's reference", "example-app")],
    entry: ({ project }) => ({
      issuer: `https://${project}.supabase.co/auth/v1`,
      audience: ["authenticated"],
      keys: { jwks_url: `https://${project}.supabase.co/auth/v1/.well-known/jwks.json` },
      algorithms: ["ES256"],
      ...HOUR,
    }),
    note: "The project must use asymmetric signing keys (Project Settings, JWT Keys).",
  },
  cognito: {
    title: "Amazon Cognito",
    questions: [{ flag: "pool", text: "The user pool's id", example: "eu-central-1_Example", form: /^[a-z0-9-]+_[A-Za-z0-9]+$/ }, clientId("example-client")],
    entry: ({ pool = "", "client-id": client }) => {
      const issuer = `https://cognito-idp.${pool.split("_")[0]}.amazonaws.com/${pool}`;
      return {
        issuer,
        audience: [client],
        audience_claim: "client_id",
        keys: { jwks_url: `${issuer}/.well-known/jwks.json` },
        algorithms: RS256,
        token_types: ["absent"],
        ...HOUR,
      };
    },
    note: "The client sends the access token: an id token is refused.",
  },
  clerk: {
    title: "Clerk",
    questions: [domain("clerk.app.example"), audience("The origin of the page, which is the token's azp", "https://app.example")],
    entry: ({ domain, audience }) => ({
      issuer: `https://${domain}`,
      audience: [audience],
      audience_claim: "azp",
      keys: { jwks_url: `https://${domain}/.well-known/jwks.json` },
      algorithms: RS256,
      extra_header_members: ["cat"],
    }),
  },
  entra: {
    title: "Microsoft Entra ID",
    questions: [
      { flag: "tenant", text: "The tenant's id", example: "99999999-8888-7777-6666-555555555555", form: ID },
      clientId("11111111-2222-3333-4444-555555555555"),
    ],
    entry: ({ tenant, "client-id": client }) => ({
      issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
      audience: [client],
      keys: { jwks_url: `https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys` },
      algorithms: RS256,
      ...HOUR,
    }),
    note: "The app's manifest needs requestedAccessTokenVersion 2, and a token lifetime policy of at most an hour.",
  },
  access: {
    title: "Cloudflare Access",
    questions: [domain("example-app.cloudflareaccess.com"), audience("The application's AUD tag", "32eafc7626e737904ba4b77b6d9d3a3c16fc3b44f0f8e4ef3ee1f2d6c4f4e2d1")],
    entry: ({ domain, audience }) => ({
      issuer: `https://${domain}`,
      audience: [audience],
      keys: { jwks_url: `https://${domain}/cdn-cgi/access/certs` },
      algorithms: RS256,
      ...HOUR,
    }),
    note: "Set the application's session duration to 30 minutes: the default is a day.",
  },
  google: {
    title: "Google",
    questions: [clientId("1234-web.apps.googleusercontent.com")],
    entry: ({ "client-id": client }) => ({
      issuer: "accounts.google.com",
      audience: [client],
      keys: { jwks_url: "https://www.googleapis.com/oauth2/v3/certs" },
      algorithms: RS256,
      ...HOUR,
    }),
    note: "Look into one of your tokens: if its iss is https://accounts.google.com, write that as the issuer.",
  },
  stytch: {
    title: "Stytch",
    questions: [project("The project's id", "project-live-00000000-0000-4000-8000-000000000000")],
    entry: ({ project }) => ({
      issuer: `stytch.com/${project}`,
      audience: [project],
      keys: { jwks_url: `https://api.stytch.com/v1/sessions/jwks/${project}` },
      algorithms: RS256,
    }),
  },
};
