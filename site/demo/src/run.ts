// The state of one prediction on the stage.
import type { Order } from "./person.ts";
import type { Work } from "./status.ts";

/** A prediction that the stage shows. Its create and the prediction itself continue when the user shows another one. */
export interface Run {
  /** Current step. */
  work: Work;
  /** Start of the work, ms on the clock of `performance.now`. */
  startedAt: number;
  /** Set once the prediction exists. */
  jobId: string | undefined;
  /** True once a cancel has been requested. */
  isCanceling: boolean;
  /** Input of the picture, if it was created here. Absent if it was selected in the gallery. */
  order: Order | undefined;
  /** True if the user waits for the result. False for a prediction that had already ended when it was selected. */
  isNews: boolean;
  /** Aborts an upload, and the wait to be back online. */
  sending: AbortController;
  /** Stops following the prediction. */
  watching: AbortController;
}

export function newRun(work: Work, startedAt: number, order: Order | undefined): Run {
  // A run that starts with loading shows a prediction that has ended.
  const isNews = work.kind !== "loading";
  return { work, startedAt, order, isNews, jobId: undefined, isCanceling: false, sending: new AbortController(), watching: new AbortController() };
}
