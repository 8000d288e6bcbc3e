import { useEffect, useRef, useState } from "react";
import type { Prediction, ValetkeyError } from "valetkey";
import { usePrediction } from "valetkey/react";
import { client } from "./client";

const MODEL = "black-forest-labs/flux-kontext-max";

export function App() {
  const [isOpen, setOpen] = useState(true);
  return (
    <main>
      <h1>Create a picture</h1>
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>{isOpen ? "Hide the form" : "Show the form"}</button>
      {isOpen && <Studio />}
    </main>
  );
}

function Studio() {
  const { run, cancel, isRunning, prediction, error } = usePrediction(client);
  const [prompt, setPrompt] = useState("A serene Japanese garden");
  const [asked, setAsked] = useState("");
  const createButton = useRef<HTMLButtonElement>(null);

  // The Cancel button disappears at the end. If it had the focus, move the focus to Create; otherwise keyboard users
  // would start again at the top of the page.
  useEffect(() => {
    if (!isRunning && asked !== "" && document.activeElement === document.body) createButton.current?.focus();
  }, [isRunning, asked]);

  function submit(): void {
    // If the last response was lost, send the same prompt with the same key, so that no second picture is created.
    const idempotencyKey = error?.advice === "repeat" && prompt === asked ? error.idempotencyKey : undefined;
    setAsked(prompt);
    void run(MODEL, { prompt }, { idempotencyKey });
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!isRunning) submit();
      }}
    >
      <label htmlFor="prompt">Description</label>
      <textarea id="prompt" rows={3} maxLength={4000} required value={prompt} onChange={(event) => setPrompt(event.target.value)} />
      <button ref={createButton} aria-disabled={isRunning}>Create</button>
      {isRunning && <button type="button" aria-disabled={prediction?.cancel_requested === true} onClick={cancel}>Cancel</button>}
      <p role="status">{isRunning ? progressOf(prediction) : endOf(prediction)}</p>
      {error !== undefined && <p role="alert">{explain(error)}</p>}
      {prediction?.output[0] !== undefined && <img src={prediction.output[0]} alt={asked} />}
    </form>
  );
}

function progressOf(prediction: Prediction | undefined): string {
  if (prediction === undefined) return "Sending…";
  if (prediction.cancel_requested) return "Canceling…";
  const { queue } = prediction;
  return queue === undefined ? "Making your picture…" : `Waiting: position ${queue.position} in the queue, about ${queue.eta_seconds} s`;
}

function endOf(prediction: Prediction | undefined): string {
  if (prediction?.status === "canceled") return "Canceled.";
  if (prediction?.status !== "succeeded") return "";
  // Valetkey leaves out output URLs that are not https.
  return prediction.output.length === 0 ? "The picture was made, but it has no usable URL." : "Your picture is ready.";
}

/** Returns an error message for the user. The operator can find the request in the log by the request id. */
function explain({ advice, message, requestId, retryAfterSecs }: ValetkeyError): string {
  const sentences = {
    repeat: "There was no response. Try again. No second picture will be created.",
    wait: `The service is busy. Try again ${retryAfterSecs === undefined ? "later" : `in ${retryAfterSecs} seconds`}.`,
    ask_user: `The picture was not created: ${message}`,
    give_up: `This page has a bug or is not set up correctly: ${message}`,
  };
  return requestId === undefined ? sentences[advice] : `${sentences[advice]} (request ${requestId})`;
}
