// Makes a picture with a DPoP-bound token. deno.test.mjs runs this in Deno, which may connect to 127.0.0.1 only.
// The argument is JSON, `{baseUrl, sessionUrl, subject, model}`. Prints the results as JSON.
import { tokenExchange } from "../../clients/web/dist/exchange.js";
import { proofKey, valetkey } from "../../clients/web/dist/index.js";

const { baseUrl, sessionUrl, subject, model } = JSON.parse(Deno.args[0]);
const dpop = proofKey();
const subjectToken = async () => (await (await fetch(sessionUrl, { method: "POST", body: JSON.stringify({ sub: subject }) })).json()).token;
const client = valetkey({ baseUrl, getToken: tokenExchange({ baseUrl, subjectToken, dpop }), dpop });
const states = [];
const picture = await client.run(model, { prompt: "A serene Japanese garden" }, { onUpdate: ({ status }) => states.push(status) });
const stored = await client.files.upload(new Blob(["x"], { type: "image/png" }));
const refused = await client.create(model, { prompt: 5 }).catch(({ code, requestId }) => ({ code, requestId }));
console.log(JSON.stringify({ status: picture.status, states, bytes: stored.bytes, refused }));
