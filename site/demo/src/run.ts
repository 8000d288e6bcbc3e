// The state of one prediction on the stage.
import type { Request } from "./creation.ts";
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
  /** The request, if the picture was created here. Absent if it was selected in the gallery. */
  request: Request | undefined;
  /** True if the user waits for the result. False for a prediction that had already ended when it was selected. */
  isNews: boolean;
  /** Aborts an upload, and the wait to be back online. */
  sending: AbortController;
  /** Stops following the prediction. */
  watching: AbortController;
}

export function newRun(work: Work, startedAt: number, request: Request | undefined): Run {
  // A run that starts with loading shows a prediction that has ended.
  const isNews = work.kind !== "loading";
  return { work, startedAt, request, isNews, jobId: undefined, isCanceling: false, sending: new AbortController(), watching: new AbortController() };
}
