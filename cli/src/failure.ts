/** A failure that the user can act on. Its message is one sentence: what is wrong, and what to do. */
export class Failure extends Error {}

/** Returns the message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
