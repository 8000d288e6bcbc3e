import { useState } from "react";
import type { Prediction, ValetkeyError } from "valetkey";
import { usePrediction } from "valetkey/react";
import { client } from "./client";

const MODEL = "black-forest-labs/flux-kontext-max";

export function App() {
  const [isOpen, setOpen] = useState(true);
  return (
    <main>
      <h1>A picture</h1>
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>{isOpen ? "Put it away" : "Get it back"}</button>
      {isOpen && <Studio />}
    </main>
  );
}

function Studio() {
  const { run, cancel, isRunning, prediction, error } = usePrediction(client);
  const [prompt, setPrompt] = useState("A serene Japanese garden");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void run(MODEL, { prompt });
      }}
    >
      <label htmlFor="prompt">Description</label>
      <textarea id="prompt" rows={3} maxLength={4000} required value={prompt} onChange={(event) => setPrompt(event.target.value)} />
      <button disabled={isRunning}>Create</button>
      {isRunning && <button type="button" disabled={prediction?.cancel_requested === true} onClick={cancel}>Cancel</button>}
      <p role="status">{isRunning ? progressOf(prediction) : endOf(prediction)}</p>
      {error !== undefined && <p role="alert">{explain(error)}</p>}
      {prediction?.status === "succeeded" && <img src={prediction.output[0]} alt={prompt} />}
    </form>
  );
}

function progressOf(prediction: Prediction | undefined): string {
  if (prediction === undefined) return "Sending…";
  if (prediction.cancel_requested) return "Canceling…";
  const { queue } = prediction;
  return queue === undefined ? "Making your picture…" : `Waiting: place ${queue.position}, about ${queue.eta_seconds} s`;
}

function endOf(prediction: Prediction | undefined): string {
  return prediction?.status === "canceled" ? "Canceled." : "";
}

/** A sentence for whoever looks at the page; the request id is what the operator can look up. */
function explain({ advice, message, requestId, retryAfterSecs }: ValetkeyError): string {
  const sentences = {
    repeat: "There was no answer. Try again: nothing is made twice.",
    wait: `Too much is going on. Try again ${retryAfterSecs === undefined ? "later" : `in ${retryAfterSecs} seconds`}.`,
    ask_user: `It did not work: ${message}`,
    give_up: `This page made a mistake: ${message}`,
  };
  return requestId === undefined ? sentences[advice] : `${sentences[advice]} (request ${requestId})`;
}
