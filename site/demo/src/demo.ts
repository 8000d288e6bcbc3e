// Puts the demo together: what the person does goes to a `Creation`, its news and its end go to the `View`.
import { Api, type Order } from "./api.ts";
import { Creation, type Clock, type Outcome } from "./creation.ts";
import { failureText, problemText, progressText } from "./messages.ts";
import { isTerminal, type Prediction } from "./prediction.ts";
import { Problem } from "./problem.ts";
import { loadSettings, randomHex } from "./settings.ts";
import { Session } from "./session.ts";
import { View } from "./view.ts";

const PICTURE_TIMEOUT_MS = 60_000;

const clock: Clock = {
  now: () => performance.now(),
  sleep: (ms) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        removeEventListener("online", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      // Back online: look at once.
      addEventListener("online", done);
    }),
};

const view = new View();
const fetcher: typeof fetch = (input, init) => fetch(input, init);
const api = new Api(new Session(() => loadSettings(fetcher), fetcher, clock.now), fetcher);

let running: Creation | undefined;
let canceling = false;
/** The request to repeat under the same key, if nobody knows whether the last one arrived. */
let unanswered: { order: Order; key: string } | undefined;

const news = {
  seen(prediction: Prediction): void {
    canceling ||= prediction.cancelRequested;
    if (!isTerminal(prediction.status)) view.setStatus(progressText(prediction, canceling));
  },
  lookFailed(): void {
    view.setStatus("No connection to the service. Looking again…");
  },
  cancelFailed(problem: Problem): void {
    canceling = false;
    view.setCancelable(true);
    view.setStatus("Canceling did not work. Your picture is still being made.");
    view.setProblem(problemText(problem), problem.details.requestId);
  },
};

async function create(): Promise<void> {
  if (running !== undefined) return;
  const order: Order = { prompt: view.prompt, aspectRatio: view.aspectRatio };
  if (order.prompt === "") {
    view.setPromptError(problemText(new Problem("empty_prompt")));
    return;
  }
  const key = keyFor(order);
  const startedAt = clock.now();
  running = new Creation(api, order, key, news, clock);
  canceling = false;
  view.start(order.aspectRatio);
  view.setStatus("Sending your description…");
  view.setElapsed(0);
  const ticking = setInterval(() => view.setElapsed(clock.now() - startedAt), 1000);
  try {
    const outcome = await running.run();
    unanswered = outcome.kind === "problem" && outcome.problem.gaveNoAnswer ? { order, key } : undefined;
    await show(outcome, order.prompt);
  } catch (thrown) {
    fail(thrown instanceof Problem ? thrown : new Problem("page_error"));
    // A mistake of our own belongs in the console too.
    if (!(thrown instanceof Problem)) throw thrown;
  } finally {
    clearInterval(ticking);
    running = undefined;
  }
}

async function cancel(): Promise<void> {
  if (running === undefined || canceling) return;
  canceling = true;
  view.setCancelable(false);
  view.setStatus("Canceling…");
  await running.cancel();
}

function keyFor(order: Order): string {
  const last = unanswered;
  const same = last?.order.prompt === order.prompt && last.order.aspectRatio === order.aspectRatio;
  return same ? last.key : randomHex(16);
}

async function show(outcome: Outcome, prompt: string): Promise<void> {
  if (outcome.kind === "problem") {
    fail(outcome.problem);
    return;
  }
  const { prediction } = outcome;
  if (prediction.status === "failed") {
    end("failed", progressText(prediction, false));
    view.setProblem(failureText(prediction.errorCode ?? ""), prediction.requestId);
  } else if (prediction.status === "canceled") {
    end("empty", progressText(prediction, false));
  } else {
    view.setStatus("Loading your picture…");
    view.setPicture(await loadPicture(prediction), prompt);
    end("done", progressText(prediction, false));
  }
}

/** Loads the picture before it is shown, so that a broken one is never seen. */
async function loadPicture(prediction: Prediction): Promise<string> {
  const unavailable = new Problem("picture_unavailable", { requestId: prediction.requestId });
  const [url] = prediction.output;
  if (url === undefined) throw unavailable;
  const picture = new Image();
  picture.referrerPolicy = "no-referrer";
  picture.src = url;
  const timeout = new Promise<never>((_, reject) => setTimeout(() => reject(unavailable), PICTURE_TIMEOUT_MS));
  await Promise.race([picture.decode(), timeout]).catch(() => {
    throw unavailable;
  });
  return picture.src;
}

function fail(problem: Problem): void {
  end("failed", "No picture this time.");
  view.setProblem(problemText(problem), problem.details.requestId);
}

function end(frame: "empty" | "done" | "failed", status: string): void {
  view.setStatus(status);
  if (frame !== "done") view.setElapsed(undefined);
  view.end(frame);
}

view.onCreate(() => void create());
view.onCancel(() => void cancel());
