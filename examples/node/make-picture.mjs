// Makes a picture and prints its URL: node make-picture.mjs "A serene Japanese garden"
//
//   VALETKEY_URL    Valetkey's origin; default that of `make dev`
//   SESSION_URL     your own backend, which answers `POST {"sub":"…"}` with `{"token":"<JWT>"}`; default that of `make dev`
//   SESSION_USER    the user whose picture it is; default alice
//
// Exit codes: 0 the picture is there; 1 it failed or was refused; 2 the command is wrong; 75 not now: run it again; 130 interrupted.
import { valetkey, ValetkeyError } from "valetkey";

const MODEL = "black-forest-labs/flux-kontext-max";
const { VALETKEY_URL = "http://127.0.0.1:8787", SESSION_URL = "http://127.0.0.1:8788/session", SESSION_USER = "alice" } = process.env;

/** In a real app the backend knows who is signed in; nobody sends it a name. */
async function getToken() {
  const answer = await fetch(SESSION_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sub: SESSION_USER }),
  });
  if (!answer.ok) throw new Error(`the backend answered ${answer.status}`);
  return (await answer.json()).token;
}

function report({ status, queue }) {
  console.error(queue === undefined ? status : `queued, place ${queue.position}, about ${queue.eta_seconds} s`);
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
      // An address that is not https is left out.
      console.error(`It was made, but there is no picture (${job_id})`);
      return 1;
    }
    console.log(output[0]);
    return 0;
  } catch (error) {
    if (controller.signal.aborted) {
      // To abort ends the waiting and nothing else; client.cancel would end the prediction.
      console.error("Interrupted. The picture is still being made.");
      return 130;
    }
    if (!(error instanceof ValetkeyError)) throw error;
    const request = error.requestId === undefined ? "" : `, request ${error.requestId}`;
    console.error(`${error.message} (${error.code}${request})`);
    if (error.advice !== "repeat" && error.advice !== "wait") return 1;
    if (error.idempotencyKey !== undefined) console.error(`The same again, and nothing is made twice: add ${error.idempotencyKey}`);
    return 75;
  }
}

process.exitCode = await main(...process.argv.slice(2));
