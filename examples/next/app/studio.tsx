"use client";
import { useMemo, useState } from "react";
import { valetkey, type Prediction, type ValetkeyError } from "valetkey";
import { usePrediction, ValetkeyProvider } from "valetkey/react";

const MODEL = "black-forest-labs/flux-kontext-max";

async function getToken(): Promise<string> {
  const answer = await fetch("/valetkey-token", { method: "POST" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(answer.status === 401 ? "Sign in first." : `The backend returned HTTP ${answer.status}.`);
  return JSON.parse(text).token;
}

/** Another user gets another client: a client keeps its user's token. */
export function Studio({ user, valetkeyUrl }: { user: string | null; valetkeyUrl: string }) {
  const client = useMemo(() => valetkey({ baseUrl: valetkeyUrl, getToken }), [user, valetkeyUrl]);
  return <ValetkeyProvider client={client}><PictureForm /></ValetkeyProvider>;
}

function PictureForm() {
  const { run, isRunning, prediction, error } = usePrediction();
  const [prompt, setPrompt] = useState("A serene Japanese garden");
  const picture = prediction?.output[0];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!isRunning) void run(MODEL, { prompt });
      }}
    >
      <label htmlFor="prompt">Description</label>
      <textarea id="prompt" rows={3} maxLength={4000} required value={prompt} onChange={(event) => setPrompt(event.target.value)} />
      <button aria-disabled={isRunning}>Create</button>
      <p role="status">{isRunning ? "Making your picture…" : endOf(prediction)}</p>
      {error !== undefined && <p role="alert">{explain(error)}</p>}
      {picture !== undefined && <img src={picture} alt={prompt} />}
    </form>
  );
}

function endOf(prediction: Prediction | undefined): string {
  if (prediction?.status !== "succeeded") return "";
  // Valetkey leaves out output URLs that are not https.
  return prediction.output.length === 0 ? "The picture was made, but it has no usable URL." : "Your picture is ready.";
}

/** `no_token` has the reason of `getToken` as its cause. */
function explain({ code, message, cause }: ValetkeyError): string {
  return code === "no_token" && cause instanceof Error ? cause.message : message;
}
