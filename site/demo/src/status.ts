// The text of the status line. Pure.
import type { Prediction } from "../../../clients/web/src/index.ts";
import type { Network } from "./connection.ts";
import { about, clock } from "./times.ts";

/** Text for a run that ended without a picture to show. */
export const NO_PICTURE = "There is no picture to show.";

/** The current step of a run. `toldAt` is when the state was received, ms on the page's clock. */
export type Work =
  | { kind: "uploading"; sent: number; total: number }
  | { kind: "sending" }
  | { kind: "making"; prediction: Prediction; toldAt: number }
  | { kind: "loading" };

export interface Situation {
  work: Work;
  network: Network;
  isCanceling: boolean;
  /** Start of the work and current time, ms on the page's clock (`performance.now`). */
  startedAt: number;
  now: number;
}

/** Returns the status text. Screen readers announce it, so it must not change every second. */
export function statusText({ work, network, isCanceling }: Situation): string {
  if (isCanceling) return "Canceling…";
  if (network.kind === "offline") {
    return work.kind === "making" ? "You are offline. Your picture is still being made." : "You are offline. This continues when you are back online.";
  }
  if (network.kind === "unreachable") return "No connection to the service. Trying again…";
  if (network.kind === "busy") return "The service is busy. Trying again soon…";
  switch (work.kind) {
    case "uploading":
      return "Uploading your picture…";
    case "sending":
      return "Sending your description…";
    case "loading":
      return "Loading your picture…";
    case "making":
      return predictionText(work.prediction);
  }
}

/** Returns the text for a prediction's state. */
export function predictionText({ status, queue, cancel_requested: isCanceling }: Prediction): string {
  switch (status) {
    case "queued":
      if (isCanceling) return "Canceling…";
      if (queue === undefined) return "Waiting in the queue…";
      return queue.position <= 1 ? "Waiting: you are next" : `Waiting: position ${queue.position} in the queue`;
    case "processing":
      return isCanceling ? "Canceling…" : "Making your picture…";
    case "succeeded":
      return "Your picture is ready.";
    case "failed":
      return NO_PICTURE;
    case "canceled":
      return "Canceled.";
  }
}

/**
 * Returns the time beside the status, which changes every second and is not announced: the ETA in the queue, else the
 * elapsed time.
 */
export function timeText({ work, network, isCanceling, startedAt, now }: Situation): string {
  const queue = work.kind === "making" && work.prediction.status === "queued" ? work.prediction.queue : undefined;
  if (queue !== undefined && !isCanceling && network.kind === "fine" && work.kind === "making") {
    const left = queue.eta_seconds - (now - work.toldAt) / 1000;
    return left > 0 ? about(left) : "any moment now";
  }
  return clock(now - startedAt);
}
