// Plans beside the default one, for what an example does where a limit is reached.

const ROOMY = { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "500" };

export const PLANS = {
  /** One picture costs more. */
  broke: { ...ROOMY, daily_credits: "1" },
  /** One at a time, and nothing may wait. */
  single: { ...ROOMY, concurrent_predictions: 1, max_waiting: 0 },
  /** The second create has to wait for most of a minute. */
  slow: { ...ROOMY, predictions_per_minute: 1 },
};
