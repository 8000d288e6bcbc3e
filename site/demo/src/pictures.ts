// The person's predictions as the gallery has them: newest first, page after page. Pure.
import { hasEnded, type Prediction, type PredictionList } from "../../../clients/web/src/index.ts";

export interface Pictures {
  readonly shown: readonly Prediction[];
  /** Where older ones begin; `null` when all are here. */
  readonly nextCursor: string | null;
}

export const NONE: Pictures = { shown: [], nextCursor: null };

/** The first page as it is now, before older ones that were loaded already. What is missing from the page was removed. */
export function refreshed(old: Pictures, page: PredictionList): Pictures {
  const last = page.data.at(-1)?.job_id;
  if (page.next_cursor === null) return { shown: page.data, nextCursor: null };
  // Where the two do not meet, others were made between them.
  const older = old.shown.slice(old.shown.findIndex(({ job_id: id }) => id === last) + 1 || old.shown.length);
  return older.length === 0 ? { shown: page.data, nextCursor: page.next_cursor } : { shown: [...page.data, ...older], nextCursor: old.nextCursor };
}

/** With the next page of older ones. */
export function extended({ shown }: Pictures, page: PredictionList): Pictures {
  const known = new Set(shown.map(({ job_id: id }) => id));
  return { shown: [...shown, ...page.data.filter(({ job_id: id }) => !known.has(id))], nextCursor: page.next_cursor };
}

/** With one that is new, or has a new state. What has ended stays so: the answer to a cancel may come after the end. */
export function updated({ shown, nextCursor }: Pictures, prediction: Prediction): Pictures {
  const known = shown.find(({ job_id: id }) => id === prediction.job_id);
  if (known === undefined) return { shown: [prediction, ...shown], nextCursor };
  if (hasEnded(known) && !hasEnded(prediction)) return { shown, nextCursor };
  return { shown: shown.map((old) => (old === known ? prediction : old)), nextCursor };
}

export function without({ shown, nextCursor }: Pictures, jobId: string): Pictures {
  return { shown: shown.filter(({ job_id: id }) => id !== jobId), nextCursor };
}

/** With several changes: a new state, or `undefined` for one that was removed. */
export function withChanges(pictures: Pictures, changes: Iterable<[string, Prediction | undefined]>): Pictures {
  let next = pictures;
  for (const [jobId, prediction] of changes) next = prediction === undefined ? without(next, jobId) : updated(next, prediction);
  return next;
}

/** The newest that goes on. */
export function running({ shown }: Pictures): Prediction | undefined {
  return shown.find((prediction) => !hasEnded(prediction));
}
