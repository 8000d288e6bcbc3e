// Plans besides the default one, for tests of what an example does when it reaches a limit.

const ROOMY = { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 5, daily_credits: "500" };

export const PLANS = {
  /** One picture costs more than the daily credits: each create gets 402. */
  broke: { ...ROOMY, daily_credits: "1" },
  /** One concurrent prediction and no queue: a second create gets 429 while the first runs. */
  single: { ...ROOMY, concurrent_predictions: 1, max_waiting: 0 },
  /** One create per minute: the second gets 429 with most of a minute in `Retry-After`. */
  slow: { ...ROOMY, predictions_per_minute: 1 },
};
