import { useEffect, useRef, useState } from "react";
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
  const [asked, setAsked] = useState("");
  const createButton = useRef<HTMLButtonElement>(null);

  // When the button that has the focus goes, whoever uses the keyboard would be sent to the top of the page.
  useEffect(() => {
    if (!isRunning && asked !== "" && document.activeElement === document.body) createButton.current?.focus();
  }, [isRunning, asked]);

  function submit(): void {
    // Where the answer was lost, the same prompt goes with the same key: nothing is made twice.
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
  return queue === undefined ? "Making your picture…" : `Waiting: place ${queue.position}, about ${queue.eta_seconds} s`;
}

function endOf(prediction: Prediction | undefined): string {
  if (prediction?.status === "canceled") return "Canceled.";
  if (prediction?.status !== "succeeded") return "";
  // An address that is not https is left out.
  return prediction.output.length === 0 ? "It was made, but there is no picture." : "Your picture is ready.";
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
