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
let isRunning = false;
let jobId;
/** The prompt whose answer was lost, and the key with which it is sent again: nothing is made twice. */
let unanswered;

/** What has the focus is neither disabled nor hidden: whoever uses the keyboard would be sent to the top of the page. */
function setRunning(on) {
  isRunning = on;
  create.ariaDisabled = on;
  if (on) return;
  if (document.activeElement === cancel) create.focus();
  cancel.hidden = true;
}

function show({ status: state, queue, job_id, cancel_requested: isCanceling }) {
  // The answer to a cancel may come after the end.
  if (!isRunning) return;
  jobId = job_id;
  cancel.hidden = false;
  cancel.ariaDisabled = isCanceling === true;
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
  if (isRunning) return;
  setRunning(true);
  problem.hidden = picture.hidden = true;
  status.textContent = "Sending…";
  const prompt = form.elements.prompt.value;
  const idempotencyKey = unanswered?.prompt === prompt ? unanswered.idempotencyKey : undefined;
  unanswered = undefined;
  try {
    const { output } = await client.run(MODEL, { prompt }, { idempotencyKey, onUpdate: show });
    // An address that is not https is left out.
    picture.hidden = output.length === 0;
    picture.src = output[0] ?? "";
    picture.alt = prompt;
    status.textContent = picture.hidden ? "It was made, but there is no picture." : "Your picture is ready.";
  } catch (error) {
    if (error.advice === "repeat") unanswered = { prompt, idempotencyKey: error.idempotencyKey };
    status.textContent = error.code === "canceled" ? "Canceled." : "";
    if (error.code !== "canceled") tell(error);
  } finally {
    setRunning(false);
  }
});

cancel.addEventListener("click", () => {
  if (cancel.ariaDisabled !== "true") client.cancel(jobId).then(show, tell);
});
