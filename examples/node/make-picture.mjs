// Creates a picture and prints its URL: node make-picture.mjs "A serene Japanese garden"
//
//   VALETKEY_URL    Valetkey's origin; default: the one that `make dev` starts
//   SESSION_URL     your backend, which returns `{"token":"<JWT>"}` for `POST {"sub":"…"}`; default: that of `make dev`
//   SESSION_USER    user who creates the picture; default: alice
//
// Exit codes:
//   0    the picture was created
//   1    the request was refused, or the prediction failed
//   2    wrong usage
//   75   temporary failure: run the command again
//   130  interrupted
import { valetkey, ValetkeyError } from "valetkey";

const MODEL = "black-forest-labs/flux-kontext-max";
const { VALETKEY_URL = "http://127.0.0.1:8787", SESSION_URL = "http://127.0.0.1:8788/session", SESSION_USER = "alice" } = process.env;

/**
 * Fetches a token from the backend. This development backend trusts the name that it is sent; a real one takes the user
 * from the signed-in session.
 */
async function getToken() {
  const answer = await fetch(SESSION_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sub: SESSION_USER }),
  });
  if (!answer.ok) throw new Error(`the backend returned HTTP ${answer.status}`);
  return (await answer.json()).token;
}

function report({ status, queue }) {
  console.error(queue === undefined ? status : `queued, position ${queue.position}, about ${queue.eta_seconds} s`);
}

async function main(prompt, idempotencyKey) {
  if (!prompt) {
    console.error('usage: node make-picture.mjs "A serene Japanese garden" [IDEMPOTENCY-KEY]');
    return 2;
  }
  const client = valetkey({ baseUrl: VALETKEY_URL, getToken });
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  try {
    const { output, job_id } = await client.run(MODEL, { prompt }, { idempotencyKey, onUpdate: report, signal: controller.signal });
    if (output.length === 0) {
      // Valetkey leaves out output URLs that are not https.
      console.error(`The prediction succeeded but has no output URL (${job_id})`);
      return 1;
    }
    console.log(output[0]);
    return 0;
  } catch (error) {
    if (controller.signal.aborted) {
      // Aborting only stops waiting: the prediction continues and is billed. `client.cancel` would stop it.
      console.error("Interrupted. The prediction continues and is billed.");
      return 130;
    }
    if (!(error instanceof ValetkeyError)) throw error;
    const request = error.requestId === undefined ? "" : `, request ${error.requestId}`;
    console.error(`${error.message} (${error.code}${request})`);
    if (error.advice !== "repeat" && error.advice !== "wait") return 1;
    if (error.idempotencyKey !== undefined) console.error(`To retry without creating a second picture, add ${error.idempotencyKey}`);
    return 75;
  }
}

process.exitCode = await main(...process.argv.slice(2));
