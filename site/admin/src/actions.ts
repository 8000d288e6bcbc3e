// The actions of an operator: what the dialog says before each, and the request that it sends.
import type { Api } from "./api.ts";
import type { Pause, UnknownOutcome } from "./shapes.ts";
import { shortKey } from "./text.ts";

/** A value that the dialog asks for. */
export interface Field {
  name: string;
  label: string;
  /** A number has bounds, and is asked for as one. */
  bounds?: { min: number; max: number };
  initial: string;
}

export interface Action {
  /** The dialog's heading. */
  title: string;
  /** Paragraphs: what will happen, and to whom. */
  says: string[];
  fields?: Field[];
  /** The button that does it. */
  confirm: string;
  /** True if it cannot be undone. */
  isFinal?: boolean;
  /** Does it. Returns the sentence to announce. */
  run: (values: Readonly<Record<string, string>>) => Promise<string>;
}

/** A pause may take an hour (docs/contract.md, section 6). */
const PAUSE_MINUTES = { min: 1, max: 60 };

export function pauseAction(api: Api): Action {
  return {
    title: "Pause creates",
    says: [
      "No new prediction is sent to the vendor. Running ones go on, and clients can read and cancel. Creates wait in the queue; one that could not wait that long is refused with 503.",
      "The pause ends by itself after the time that you give. Paused time does not count as waiting.",
    ],
    fields: [
      { name: "minutes", label: "Minutes", bounds: PAUSE_MINUTES, initial: "10" },
      { name: "model", label: "Model, such as acme/model-x (empty: every model)", initial: "" },
    ],
    confirm: "Pause",
    run: async ({ minutes, model = "" }) => {
      const name = model.trim();
      await api.write("POST", "pause", { for_secs: Number(minutes) * 60, ...(name !== "" && { model: name }) });
      return `Creates of ${name === "" ? "every model" : name} are paused for ${minutes} min.`;
    },
  };
}

export function resumeAction(api: Api, { id, model }: Pause): Action {
  return {
    title: "End this pause",
    says: [
      `Creates of ${model ?? "every model"} start again now, unless another pause holds them.`,
      `This ends ${id}. A deployment that holds it goes on without it: its restart can then cost predictions that are just being sent.`,
    ],
    confirm: "Resume",
    run: async () => {
      await api.write("POST", "resume", { id });
      return "The pause has ended.";
    },
  };
}

export function releaseAction(api: Api, { job_id: id, model, user }: UnknownOutcome): Action {
  return {
    title: "Release this slot",
    says: [
      `${id} of user ${shortKey(user)} (${model}) holds a slot, because the vendor may still be running it. The slot is used for another prediction from now on.`,
      "If the vendor is still running it, the vendor may refuse the next create. The prediction stays failed, and its credits stay spent.",
    ],
    confirm: "Release the slot",
    run: async () => {
      await api.write("POST", `jobs/${encodeURIComponent(id)}/release`);
      return `The slot of ${id} is free.`;
    },
  };
}

export function revokeAllAction(api: Api, nowSecs: () => number): Action {
  return {
    title: "Revoke every token",
    says: [
      "Every token of every user and operator that was issued until now is refused from now on, yours too. Apps get new tokens from your backend or identity provider by themselves; operators sign in again.",
      "Running predictions go on. This cannot be undone.",
    ],
    confirm: "Revoke every token",
    isFinal: true,
    run: async () => {
      await api.write("POST", "revocations", { issued_by: nowSecs() });
      return "Every token that was issued until now is revoked.";
    },
  };
}
