// How long the commands wait, and how long they pause creates.

export interface Limits {
  /** How long a pause lasts after its last renewal. */
  pauseSecs: number;
  renewEveryMs: number;
  /** The longest wait until nothing is being sent. A create of the vendor's takes less. */
  idleWaitMs: number;
  /** The longest wait until a new version answers. */
  arrivalWaitMs: number;
  pollEveryMs: number;
  /** How often the end of a pause is tried, once each poll. */
  resumeTries: number;
}

export const LIMITS: Limits = {
  pauseSecs: 120,
  renewEveryMs: 30_000,
  idleWaitMs: 50_000,
  arrivalWaitMs: 60_000,
  pollEveryMs: 1_000,
  resumeTries: 10,
};
