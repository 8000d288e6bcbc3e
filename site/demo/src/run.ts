// One prediction on the stage, as far as the stage remembers it.
import type { Order } from "./person.ts";
import type { Work } from "./status.ts";

/** It goes on by itself when the person looks at another one. */
export interface Run {
  work: Work;
  startedAt: number;
  jobId: string | undefined;
  isCanceling: boolean;
  /** What was asked for, where it was begun here and not found in the gallery. */
  order: Order | undefined;
  /** Whether somebody waits for it. */
  isNews: boolean;
  /** Ends an upload. */
  sending: AbortController;
  /** Ends the watching. */
  watching: AbortController;
}

export function newRun(work: Work, startedAt: number, order: Order | undefined): Run {
  // What is loaded at once has ended before.
  const isNews = work.kind !== "loading";
  return { work, startedAt, order, isNews, jobId: undefined, isCanceling: false, sending: new AbortController(), watching: new AbortController() };
}
