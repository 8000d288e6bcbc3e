// A prompt becomes a picture. No build step: valetkey.js beside this file is clients/web/dist/valetkey.min.js.
import { valetkey } from "./valetkey.js";
import { BASE_URL, SESSION_URL } from "./settings.js";

const MODEL = "black-forest-labs/flux-kontext-max";

/** Asks your own backend, which knows who is signed in. That of `make dev` believes any name. */
async function getToken() {
  const answer = await fetch(SESSION_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sub: "alice" }),
  });
  return (await answer.json()).token;
}

const client = valetkey({ baseUrl: BASE_URL, getToken });
const [form, create, cancel, status, problem, picture] = ["form", "create", "cancel", "status", "problem", "picture"].map((id) => document.getElementById(id));
let jobId;

function show({ status: state, queue, job_id, cancel_requested: isCanceling }) {
  jobId = job_id;
  cancel.hidden = isCanceling === true;
  if (isCanceling) status.textContent = "Canceling…";
  else status.textContent = queue ? `Waiting: place ${queue.position}, about ${queue.eta_seconds} s` : { processing: "Making your picture…" }[state] ?? "";
}

/** A sentence for whoever looks at the page; the request id is what the operator can look up. */
function explain(error) {
  const sentences = {
    repeat: "There was no answer. Try again: nothing is made twice.",
    wait: `Too much is going on. Try again ${error.retryAfterSecs ? `in ${error.retryAfterSecs} seconds` : "later"}.`,
    ask_user: `It did not work: ${error.message}`,
    give_up: `This page made a mistake: ${error.message}`,
  };
  return `${sentences[error.advice] ?? error.message}${error.requestId ? ` (request ${error.requestId})` : ""}`;
}

function tell(error) {
  problem.textContent = explain(error);
  problem.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.hidden = picture.hidden = true;
  create.disabled = true;
  status.textContent = "Sending…";
  const prompt = form.elements.prompt.value;
  try {
    const { output } = await client.run(MODEL, { prompt }, { onUpdate: show });
    picture.src = output[0];
    picture.alt = prompt;
    picture.hidden = false;
    status.textContent = "Done.";
  } catch (error) {
    status.textContent = error.code === "canceled" ? "Canceled." : "";
    if (error.code !== "canceled") tell(error);
  } finally {
    create.disabled = false;
    cancel.hidden = true;
  }
});

cancel.addEventListener("click", () => client.cancel(jobId).then(show, tell));
