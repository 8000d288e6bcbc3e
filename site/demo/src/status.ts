// The status line: what is going on, in words. Pure.
import type { Prediction } from "../../../clients/web/src/index.ts";
import type { Network } from "./connection.ts";
import { about, clock } from "./times.ts";

export type Work =
  | { kind: "uploading"; sent: number; total: number }
  | { kind: "sending" }
  | { kind: "making"; prediction: Prediction; toldAt: number }
  | { kind: "loading" };

export interface Situation {
  work: Work;
  network: Network;
  isCanceling: boolean;
  /** On the page's clock, ms: when the work began, and now. */
  startedAt: number;
  now: number;
}

/** Announced by screen readers, so it changes only when there is something new. */
export function statusText({ work, network, isCanceling }: Situation): string {
  if (isCanceling) return "Canceling…";
  if (network.kind === "offline") {
    return work.kind === "making" ? "You are offline. Your picture is still being made." : "You are offline. This goes on when you are back.";
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

/** What a prediction is doing. */
export function predictionText({ status, queue, cancel_requested: isCanceling }: Prediction): string {
  switch (status) {
    case "queued":
      if (isCanceling) return "Canceling…";
      if (queue === undefined) return "Waiting for a free place…";
      return queue.position <= 1 ? "Waiting: you are next" : `Waiting: place ${queue.position}`;
    case "processing":
      return isCanceling ? "Canceling…" : "Making your picture…";
    case "succeeded":
      return "Your picture is ready.";
    case "failed":
      return "No picture this time.";
    case "canceled":
      return "Canceled.";
  }
}

/** What counts beside it, second by second, and is not announced. */
export function timeText({ work, network, isCanceling, startedAt, now }: Situation): string {
  const queue = work.kind === "making" && work.prediction.status === "queued" ? work.prediction.queue : undefined;
  if (queue !== undefined && !isCanceling && network.kind === "fine" && work.kind === "making") {
    const left = queue.eta_seconds - (now - work.toldAt) / 1000;
    return left > 0 ? about(left) : "any moment now";
  }
  return clock(now - startedAt);
}
