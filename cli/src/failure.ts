/** A failure that the user can act on. Its message is one sentence: what is wrong, and what to do. */
export class Failure extends Error {}

/** A failure before anything was deployed: there is nothing to go back from. */
export class NothingDeployed extends Failure {}

/** Returns the message of anything that was thrown. `fetch` has its reason in the cause. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return (thrown.cause instanceof Error && thrown.cause.message) || thrown.message;
}
