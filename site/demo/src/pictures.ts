// The list of predictions in the gallery: newest first, loaded page by page. Pure.
import { hasEnded, type Prediction, type PredictionList } from "../../../clients/web/src/index.ts";

export interface Pictures {
  readonly shown: readonly Prediction[];
  /** Cursor of the next older page; `null` when all are loaded. */
  readonly nextCursor: string | null;
}

export const NONE: Pictures = { shown: [], nextCursor: null };

/**
 * Replaces the first page and keeps older pages that are loaded. A prediction missing from the new page has been
 * deleted.
 */
export function refreshed(old: Pictures, page: PredictionList): Pictures {
  const last = page.data.at(-1)?.job_id;
  if (page.next_cursor === null) return { shown: page.data, nextCursor: null };
  // If the new page and the loaded list do not overlap, predictions between them are missing: drop the older ones.
  const older = old.shown.slice(old.shown.findIndex(({ job_id: id }) => id === last) + 1 || old.shown.length);
  return older.length === 0 ? { shown: page.data, nextCursor: page.next_cursor } : { shown: [...page.data, ...older], nextCursor: old.nextCursor };
}

/** Appends the next older page. */
export function extended({ shown }: Pictures, page: PredictionList): Pictures {
  const known = new Set(shown.map(({ job_id: id }) => id));
  return { shown: [...shown, ...page.data.filter(({ job_id: id }) => !known.has(id))], nextCursor: page.next_cursor };
}

/**
 * Adds a new prediction or updates a known one. A prediction that has ended never changes back: the response to a
 * cancel can arrive after the end.
 */
export function updated({ shown, nextCursor }: Pictures, prediction: Prediction): Pictures {
  const known = shown.find(({ job_id: id }) => id === prediction.job_id);
  if (known === undefined) return { shown: [prediction, ...shown], nextCursor };
  if (hasEnded(known) && !hasEnded(prediction)) return { shown, nextCursor };
  return { shown: shown.map((old) => (old === known ? prediction : old)), nextCursor };
}

/** Removes a prediction. */
export function without({ shown, nextCursor }: Pictures, jobId: string): Pictures {
  return { shown: shown.filter(({ job_id: id }) => id !== jobId), nextCursor };
}

/** Applies changes: a new state, or `undefined` for a deleted prediction. */
export function withChanges(pictures: Pictures, changes: Iterable<[string, Prediction | undefined]>): Pictures {
  let next = pictures;
  for (const [jobId, prediction] of changes) next = prediction === undefined ? without(next, jobId) : updated(next, prediction);
  return next;
}

/** Returns the newest prediction that has not ended. */
export function running({ shown }: Pictures): Prediction | undefined {
  return shown.find((prediction) => !hasEnded(prediction));
}
