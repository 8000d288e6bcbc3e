// The expected output of each program, and the settings that it needs.
//
// - `prints`: matches the whole output
// - `vendor`: settings of the simulator for both runs
// - `straight`: settings of the simulator for the run that calls the vendor directly
// - `plan`: the user's plan in the run through the Worker

/** One line with the URL of a picture. */
const PICTURE = /^(https?:\S+\/outputs\/\S+\.png)\n$/;

const QUICK = { prediction_ms: 500 };
const LONG = { prediction_ms: 60_000 };

export const PLANS = {
  // One concurrent prediction and no queue: a second create gets 429, as at the vendor.
  single: { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 1, max_waiting: 0, daily_credits: "500" },
  broke: { requests_per_minute: 240, predictions_per_minute: 20, concurrent_predictions: 1, daily_credits: "1" },
};

export const CASES = {
  "account.mjs": {
    vendor: { requests_per_minute: 600 },
    prints: new RegExp(
      "^/account: 200, credits, limits\n/account/balance: 200, credits, limits\n" +
        "/account/usage: 200, limits\n/account/rate-limits: 200, limits\n$",
    ),
  },
  "account.sh": { prints: /^[\d.]+\n$/ },
  "both_shapes.mjs": { vendor: { ...QUICK, shape: "flux" }, prints: PICTURE },
  "cancel.mjs": { vendor: LONG, prints: /^canceled\n$/ },
  "cancel.py": { vendor: LONG, prints: /^canceled\n$/ },
  "credits.mjs": { straight: { balance: "0" }, plan: "broke", prints: /^No credits are left \(402 payment_error\)\.\n$/ },
  "errors.mjs": { prints: /^401 authentication_error\n400 invalid_request_error\n404 not_found_error\n$/ },
  "image_count.sh": { vendor: QUICK, prints: PICTURE },
  "list.mjs": { vendor: QUICK, prints: /^both are listed, the newest first\n$/ },
  "picture.mjs": { vendor: QUICK, prints: PICTURE },
  "picture.py": { vendor: QUICK, prints: PICTURE },
  "picture.sh": { vendor: QUICK, prints: PICTURE },
  "retry.mjs": {
    vendor: QUICK,
    straight: { concurrent_limit: 1 },
    plan: "single",
    prints: /^was refused, and tried again\n(https?:\S+\/outputs\/\S+\.png)\n(https?:\S+\/outputs\/\S+\.png)\n$/,
  },
  "stream.sh": { vendor: { prediction_ms: 3_000, stream_interval_ms: 500 }, prints: /^succeeded\n$/ },
  "urls.py": { vendor: QUICK, prints: /^(https?:\S+\/outputs\/\S+\.png) True\n$/ },
  "urls.sh": { vendor: QUICK, prints: PICTURE },
};
