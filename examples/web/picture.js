// Creates a picture from a prompt, without a build step: valetkey.js next to this file is a copy of
// clients/web/dist/valetkey.min.js.
import { valetkey } from "./valetkey.js";
import { BASE_URL, SESSION_URL } from "./settings.js";

const MODEL = "black-forest-labs/flux-kontext-max";

/**
 * Fetches a token from your own backend, which takes the user from the signed-in session. The backend of `make dev`
 * trusts the name that it is sent.
 */
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
/** Prompt and key of a create whose response was lost. Sending them again creates no second picture. */
let unanswered;

/**
 * Switches the buttons. A button that has the focus is never disabled or hidden, because keyboard users would then
 * start again at the top of the page.
 */
function setRunning(on) {
  isRunning = on;
  create.ariaDisabled = on;
  if (on) return;
  if (document.activeElement === cancel) create.focus();
  cancel.hidden = true;
}

/** Shows the state of the running prediction. */
function show({ status: state, queue, job_id, cancel_requested: isCanceling }) {
  // The response to a cancel can arrive after the prediction has ended.
  if (!isRunning) return;
  jobId = job_id;
  cancel.hidden = false;
  cancel.ariaDisabled = isCanceling === true;
  if (isCanceling) status.textContent = "Canceling…";
  else status.textContent = queue ? `Waiting: position ${queue.position} in the queue, about ${queue.eta_seconds} s` : { processing: "Making your picture…" }[state] ?? "";
}

/** Returns an error message for the user. The operator can find the request in the log by the request id. */
function explain(error) {
  const sentences = {
    repeat: "There was no response. Try again. No second picture will be created.",
    wait: `The service is busy. Try again ${error.retryAfterSecs ? `in ${error.retryAfterSecs} seconds` : "later"}.`,
    ask_user: `The picture was not created: ${error.message}`,
    give_up: `This page has a bug or is not set up correctly: ${error.message}`,
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
    // Valetkey leaves out output URLs that are not https.
    picture.hidden = output.length === 0;
    picture.src = output[0] ?? "";
    picture.alt = prompt;
    status.textContent = picture.hidden ? "The picture was made, but it has no usable URL." : "Your picture is ready.";
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
