// oauth4webapi, a strict client library, against the token endpoint on real workerd: it discovers the endpoints, exchanges a
// token, validates the new one as RFC 9068 says, and revokes it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as oauth from "oauth4webapi";
import { startClientStack } from "./stack.mjs";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const FAR_AWAY = { timeout: 60_000 };
/** The stack has no TLS: it runs on loopback. */
const OPTIONS = { [oauth.allowInsecureRequests]: true };
const CLIENT = { client_id: "any-client" };
let stack;
let server;

before(async () => {
  stack = await startClientStack();
  const issuer = new URL(stack.origin);
  const response = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...OPTIONS });
  server = await oauth.processDiscoveryResponse(issuer, response);
}, FAR_AWAY);

after(async () => {
  await stack?.stop();
});

/** Exchanges a new token of `subject`. */
async function exchange(subject, options = {}) {
  const parameters = { subject_token: await stack.simulator.token(subject), subject_token_type: "urn:ietf:params:oauth:token-type:jwt" };
  const request = () => oauth.genericTokenEndpointRequest(server, CLIENT, oauth.None(), EXCHANGE, parameters, { ...OPTIONS, ...options });
  return oauth.processGenericTokenEndpointResponse(server, CLIENT, await request());
}

function requestWith(scheme, token, headers = {}) {
  return new Request(`${stack.origin}/v1/predictions`, { headers: { Authorization: `${scheme} ${token}`, ...headers } });
}

test("an exchanged token is a JWT access token (RFC 9068)", FAR_AWAY, async () => {
  const { access_token, token_type, expires_in } = await exchange("alice");
  assert.deepEqual([token_type, expires_in], ["bearer", 300]);
  const claims = await oauth.validateJwtAccessToken(server, requestWith("Bearer", access_token), stack.origin, OPTIONS);
  // The app's tokens name no client, so the audience stands for it.
  assert.deepEqual([claims.iss, claims.aud, claims.sub, claims.client_id], [stack.origin, stack.origin, "alice", "demo"]);
  assert.equal((await fetch(requestWith("Bearer", access_token))).status, 200);
});

test("a token that was changed or is for another audience is refused by the library", FAR_AWAY, async () => {
  const { access_token } = await exchange("alice");
  const validate = (token, audience) => oauth.validateJwtAccessToken(server, requestWith("Bearer", token), audience, OPTIONS);
  await assert.rejects(validate(access_token, "https://another.example"), /"aud"/);
  const [header, , signature] = access_token.split(".");
  const claims = Buffer.from(JSON.stringify({ ...oauthClaims(access_token), sub: "mallory" })).toString("base64url");
  await assert.rejects(validate([header, claims, signature].join("."), stack.origin), /signature/);
  const { client_id, ...rest } = oauthClaims(access_token);
  assert.equal(client_id, "demo");
  const without = Buffer.from(JSON.stringify(rest)).toString("base64url");
  await assert.rejects(validate([header, without, signature].join("."), stack.origin), /client_id/);
});

function oauthClaims(token) {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

test("a token that is bound to a key is valid with its proof", FAR_AWAY, async () => {
  const pair = await oauth.generateKeyPair("ES256");
  const DPoP = oauth.DPoP(CLIENT, pair);
  const { access_token, token_type } = await exchange("bob", { DPoP });
  assert.equal(token_type, "dpop");
  const url = new URL(`${stack.origin}/v1/predictions`);
  let sent;
  const customFetch = (target, { headers, ...init }) => {
    sent = new Request(target, { ...init, headers });
    return fetch(sent.clone());
  };
  const response = await oauth.protectedResourceRequest(access_token, "GET", url, new Headers(), null, {
    ...OPTIONS,
    DPoP: oauth.DPoP(CLIENT, pair),
    [oauth.customFetch]: customFetch,
  });
  assert.equal(response.status, 200);
  const claims = await oauth.validateJwtAccessToken(server, sent, stack.origin, { ...OPTIONS, requireDPoP: true });
  assert.equal(claims.sub, "bob");
  assert.equal((await fetch(requestWith("Bearer", access_token))).status, 401, "worth nothing without the proof");
});

test("a token is revoked by the library", FAR_AWAY, async () => {
  const { access_token } = await exchange("carol");
  const revoke = await oauth.revocationRequest(server, CLIENT, oauth.None(), access_token, OPTIONS);
  await oauth.processRevocationResponse(revoke);
  assert.equal((await fetch(requestWith("Bearer", access_token))).status, 401);
});
