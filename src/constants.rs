//! Every number with its unit in the name and its reason beside it.

/// Milliseconds in a second.
pub const MILLIS_PER_SECOND: i64 = 1_000;
/// Seconds in a UTC day (Unix time has no leap seconds).
pub const SECONDS_PER_DAY: i64 = 86_400;

/// Micro-credits in a credit: six decimals hold every price the vendor has shown ("2.5") with room to spare.
pub const MICROS_PER_CREDIT: i64 = 1_000_000;
/// The largest sum, 10^9 credits: far below 2^53, the largest integer that SQL's f64 carries exactly.
pub const MAX_CREDITS_MICROS: i64 = 1_000_000_000_000_000;

/// Body of a create: prompts are short; an inline image belongs in `/v1/files`.
pub const CREATE_BODY_MAX_BYTES: usize = 256 * 1024;
/// Body of every other route (contract 1).
pub const OTHER_BODY_MAX_BYTES: usize = 16 * 1024;
/// Nesting of a request body: the deepest rule is an array in `input`; 16 leaves room and stops stack attacks.
pub const BODY_MAX_DEPTH: usize = 16;

/// A whole token. RS512 with a 4096-bit key and generous claims stays under 4 KB; headers are at most 16 KB here.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// A token's header as JSON text: `alg`, `typ`, `kid` and a few configured members.
pub const TOKEN_HEADER_MAX_BYTES: usize = 1024;
/// Nesting of a token's header and claims: providers nest two or three deep; deeper is an attack on the stack.
pub const TOKEN_MAX_DEPTH: usize = 8;
/// Verified tokens kept in an isolate's memory (protocol 8): about 1 KB each.
pub const TOKEN_CACHE_ENTRIES: usize = 1_000;

/// An object's acknowledgement: what a client is made to wait before it is told 503 (protocol 1).
pub const ACK_TIMEOUT_MILLIS: i64 = 2_000;
/// The Ledger's own wait for the Dispatcher: shorter than the edge's, so that the Ledger still answers in time.
pub const DISPATCHER_ACK_TIMEOUT_MILLIS: i64 = 1_600;
/// How long the edge awaits the vendor's outcome of a create while the row is `submitting` (protocol 1).
pub const OUTCOME_WAIT_MILLIS: i64 = 35_000;
/// First byte of a vendor answer.
pub const VENDOR_FIRST_BYTE_MILLIS: u32 = 30_000;
/// A whole vendor answer.
pub const VENDOR_TOTAL_MILLIS: u32 = 45_000;
/// A vendor answer that is parsed: a prediction is a few KB; a model list with schemas may be large.
pub const VENDOR_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Nesting of a vendor answer: predictions nest three deep, schemas more.
pub const UPSTREAM_MAX_DEPTH: usize = 32;

/// An output URL (contract 2).
pub const OUTPUT_URL_MAX_CHARS: usize = 2_048;
/// Outputs of one prediction that are kept: the largest `max_image_count` anyone has asked for, with room.
pub const OUTPUTS_MAX: usize = 64;
/// A vendor's id of a prediction: job ids seen have 14 characters; more than this is not an id.
pub const VENDOR_ID_MAX_BYTES: usize = 128;

/// Wait of the first poll of a prediction, and the shortest later one (protocol 4).
pub const POLL_FIRST_MILLIS: i64 = 2_000;
/// The longest wait between two polls of a prediction that is not over its time.
pub const POLL_LONGEST_MILLIS: i64 = 30_000;
/// Between two polls of a prediction that is over its `max_seconds` (protocol 1).
pub const OVERDUE_POLL_MILLIS: i64 = 30_000;
/// Shares of the vendor's requests a minute: creates, polls, cancels, the rest, in percent (protocol 4, lanes).
pub const LANE_PERCENT: [usize; 4] = [50, 35, 10, 5];
/// The shortest wait between two polls of a prediction: the vendor asks for it (vendor page RATE).
pub const POLL_SHORTEST_MILLIS: i64 = 1_000;
/// A webhook makes the next poll of a prediction come now, but not more often than this (protocol 4).
pub const WEBHOOK_SHORTEST_MILLIS: i64 = 10_000;
/// Requests of each minute that only a cancel may use (protocol 4, lanes).
pub const CANCEL_RESERVE_REQUESTS: usize = 3;
/// The window in which vendor requests are counted: a minute, and one second for the way (protocol 4).
pub const VENDOR_WINDOW_MILLIS: i64 = 61_000;
/// Up to this grant each vendor request is booked at its own millisecond, beyond it by the second.
pub const VENDOR_EXACT_REQUESTS: usize = 600;
/// Vendor connections open at once; an object has six for everything (protocol 4).
pub const VENDOR_CONNECTIONS_MAX: usize = 5;
/// Of those, kept for polls and cancels.
pub const VENDOR_CONNECTIONS_KEPT: usize = 1;

/// Polls that say "no such prediction" before it counts as lost, and the least time they must span (protocol 1).
pub const LOST_AFTER_POLLS: u32 = 3;
/// See [`LOST_AFTER_POLLS`].
pub const LOST_AFTER_MILLIS: i64 = 60_000;
/// A model whose create was answered 403 or 404 is not tried again for this long (protocol 1).
pub const MODEL_PAUSE_MILLIS: i64 = 300_000;
/// After a throttled create although we counted a free slot, our limit is one lower for this long (protocol 1).
pub const SLOT_PENALTY_MILLIS: i64 = 60_000;
/// Failures in a row that open the circuit (protocol 1).
pub const CIRCUIT_FAILURES: u32 = 5;
/// The first wait of a probe, doubling up to [`PROBE_LONGEST_MILLIS`] (protocol 1).
pub const PROBE_FIRST_MILLIS: i64 = 30_000;
/// The longest wait between two probes.
pub const PROBE_LONGEST_MILLIS: i64 = 600_000;
/// Wait after a throttled create whose answer has no usable `Retry-After`.
pub const THROTTLE_DEFAULT_MILLIS: i64 = 5_000;
/// The longest `Retry-After` of the vendor that is believed: an hour.
pub const RETRY_AFTER_MAX_SECS: i64 = 3_600;
/// An expiry takes effect when a second look, at least this much later, confirms it (protocol 5).
pub const EXPIRY_CONFIRM_MILLIS: i64 = 1_000;
/// How long the Dispatcher remembers ended `job_id`s (protocol 2).
pub const TOMBSTONE_MILLIS: i64 = 25 * 3_600 * 1_000;
/// An `enqueue` whose id is older is refused (protocol 2).
pub const ENQUEUE_MAX_AGE_MILLIS: i64 = 3_600 * 1_000;
/// An outbox row that was not acknowledged for this long goes to the dead letters (protocol 2).
pub const DEAD_LETTER_MILLIS: i64 = 24 * 3_600 * 1_000;
/// First wait between two tries to deliver news, doubling up to [`DELIVERY_LONGEST_MILLIS`].
pub const DELIVERY_FIRST_MILLIS: i64 = 500;
/// The longest wait between two tries to deliver news.
pub const DELIVERY_LONGEST_MILLIS: i64 = 60_000;
/// News for one Ledger that go in one message.
pub const DELIVERY_BATCH: usize = 20;
/// A row that could not be read this often is taken out of its table and kept aside (protocol 3).
pub const QUARANTINE_ATTEMPTS: u32 = 5;
/// The model list is asked for at most this often (protocol 4).
pub const MODEL_LIST_MILLIS: i64 = 600_000;
/// Text in the inputs of what waits, in bytes: they are all in the Dispatcher's memory, several times over while it loads.
pub const WAITING_BYTES_MAX: usize = 12 * 1_024 * 1_024;
/// How long an isolate keeps the model list of the Dispatcher (protocol 4).
pub const MODELS_MEMORY_MILLIS: i64 = 60_000;
/// Models kept from the vendor's list.
pub const MODEL_LIST_MAX: usize = 1_000;
/// An alarm that is this late, or missing while work is due, is armed again (protocol 3).
pub const ALARM_LATE_MILLIS: i64 = 5_000;

/// Terminal predictions live this long (protocol 7).
pub const RETENTION_MILLIS: i64 = 7 * 24 * 3_600 * 1_000;
/// Days of usage that are kept and shown (contract 1, account).
pub const USAGE_DAYS: i64 = 30;
/// The Ledger tries an unanswered withdrawal again after this long (protocol 1).
pub const WITHDRAW_RETRY_MILLIS: i64 = 5_000;
/// A non-terminal prediction without news for this long makes the Ledger poke the Dispatcher (protocol 2).
pub const TICK_AFTER_MILLIS: i64 = 15_000;
/// Added to a prediction's longest life before its Ledger asks for its state (protocol 2).
pub const SILENCE_SLACK_MILLIS: i64 = 600_000;
/// Blocks that a user's requests of a minute are drawn in: an instance that dies costs one (protocol 4).
pub const REQUEST_BLOCKS_PER_LIMIT: u32 = 10;
/// How long a block serves from memory (protocol 4).
pub const REQUEST_BLOCK_MILLIS: i64 = 5_000;
/// How long a block counts: a minute, and the time for which it serves (protocol 4).
pub const REQUEST_WINDOW_MILLIS: i64 = 65_000;
/// How long an idempotency key is remembered (contract 2).
pub const IDEMPOTENCY_MILLIS: i64 = 24 * 3_600 * 1_000;
/// An idempotency key, in characters (contract 2).
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// A withdrawal of a prediction that the Ledger does not know is remembered for this long: longer than any message that
/// is still in time may be on its way.
pub const WITHDRAWN_MILLIS: i64 = 60_000;
/// A batch is remembered as long as its predictions can be: the longest wait and run, then the retention.
pub const BATCH_RETENTION_MILLIS: i64 = RETENTION_MILLIS + 2 * 24 * 3_600 * 1_000;
/// Predictions in a batch (contract 1).
pub const BATCH_MAX: usize = 20;
/// Body of a batch (contract 1).
pub const BATCH_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Nesting of a batch: two levels more than a create's.
pub const BATCH_MAX_DEPTH: usize = BODY_MAX_DEPTH + 2;
/// An uploaded file, bytes (contract 1): below the platform's own 100 MB, whose answer has no CORS headers.
pub const FILE_MAX_BYTES: u64 = 90_000_000;
/// The vendor's answer to an upload may take as long as 90 MB need on its side.
pub const FILE_UPLOAD_MILLIS: u32 = 300_000;
/// The place in the queue is asked for at most this often for a user (protocol 1, readers).
pub const QUEUE_POSITION_FRESH_MILLIS: i64 = 2_000;
/// Starts that are simulated to find places in the queue; later ones are told by their order of arrival.
pub const STARTS_SIMULATED: usize = 1_000;
/// The run of a prediction that is assumed until one was seen.
pub const AVERAGE_RUN_MILLIS: i64 = 20_000;

/// Event streams of one user that are open at once (contract 1).
pub const EVENT_STREAMS_MAX: usize = 4;
/// Between two looks of an open event stream at its Ledger, at first and later (protocol 1).
pub const EVENT_POLL_MILLIS: (i32, i32) = (1_000, 3_000);
/// For how long an event stream looks more often.
pub const EVENT_EAGER_MILLIS: i64 = 60_000;
/// A comment that keeps proxies from closing an event stream, and shows that the client has left (contract 1).
pub const EVENT_HEARTBEAT_MILLIS: i64 = 15_000;
/// The longest event stream (contract 1).
pub const EVENT_LONGEST_MILLIS: i64 = 300_000;
/// A stream that has not looked for this long is not open any more.
pub const LEASE_MILLIS: i64 = 10_000;
/// A vendor stream of a prediction is opened at most this often (contract 1).
pub const STREAM_REOPEN_MILLIS: i64 = 10_000;
/// A vendor stream that is silent for this long is closed.
pub const STREAM_SILENCE_MILLIS: u32 = 60_000;
/// The longest `Prefer: wait` (contract 2).
pub const WAIT_PREFERRED_MAX_SECS: u32 = 60;

/// Predictions on a page of the list when the client does not say, and at most (contract 1).
pub const LIST_DEFAULT: u32 = 25;
/// See [`LIST_DEFAULT`].
pub const LIST_MAX: u32 = 100;

/// A `kid`: Cognito's and Entra's have 44 characters; it is only ever compared.
pub const TOKEN_KID_MAX_BYTES: usize = 128;
/// Words of a list in a form: no deployment has as many models.
pub const FORM_WORDS_MAX: usize = 100;
/// Parameters of a form: the endpoints know a dozen.
pub const FORM_PARAMETERS_MAX: usize = 32;
/// A Turnstile token (its documentation: at most 2,048 characters).
pub const TURNSTILE_TOKEN_MAX_BYTES: usize = 2_048;
/// Turnstile's answer is a few hundred bytes.
pub const TURNSTILE_ANSWER_MAX_BYTES: u32 = 16 * 1024;
/// Turnstile has this long to answer.
pub const TURNSTILE_TIMEOUT_MILLIS: u32 = 5_000;
/// A proof of possession: a key of a few hundred bytes and five claims.
pub const PROOF_MAX_BYTES: usize = 4 * 1024;
/// Nesting of a proof's header and claims: object, `jwk`, `key_ops`.
pub const PROOF_MAX_DEPTH: usize = 3;
/// How old a proof may be, seconds: clocks of phones are off by minutes, and its id is remembered for as long.
pub const PROOF_AGE_MAX_SECS: i64 = 300;
/// How often a Ledger forgets the ids of proofs that are too old to be used.
pub const PROOF_SWEEP_MILLIS: i64 = 60_000;
/// Clocks of two objects, or of an edge and an object, differ by no more (protocol 5).
pub const CLOCK_TOLERANCE_MILLIS: i64 = 2_000;
/// An isolate's Ledgers ask the Dispatcher this often which tokens are refused, whoever has them: within the 30 s of
/// protocol 7, with the time of an answer.
pub const REVOKED_FRESH_MILLIS: i64 = 25_000;
/// After the Dispatcher gave no answer to that.
pub const REVOKED_RETRY_MILLIS: i64 = 5_000;
/// How far ahead of us a proof may be, seconds: one that is made in advance is good only that much later.
pub const PROOF_AHEAD_MAX_SECS: i64 = 60;
/// Names in an `aud` array: providers list a handful; more is an attempt to make us compare for long.
pub const TOKEN_AUDIENCES_MAX: usize = 32;
/// A subject (contract 5; OpenID Connect Core section 2 has the same bound).
pub const TOKEN_SUBJECT_MAX_CHARS: usize = 255;
/// A token's own id, `jti`.
pub const TOKEN_ID_MAX_CHARS: usize = 255;
/// The plan claim: no plan has a longer name, so that a longer one is an unknown plan.
pub const TOKEN_PLAN_MAX_BYTES: usize = 64;
/// Used tokens that an insert into the full cache passes over before it drops one all the same.
pub const TOKEN_CACHE_LOOKS: usize = 8;
/// Nesting of `ISSUERS`: list, issuer, keys, jwks, keys, key, `key_ops`.
pub const ISSUERS_MAX_DEPTH: usize = 7;
/// Nesting of a secret that is a JWK set: set, keys, key, `key_ops`.
pub const KEY_SET_MAX_DEPTH: usize = 4;
/// A key set at a URL, in bytes (protocol 8).
pub const KEY_SET_MAX_BYTES: usize = 256 * 1_024;
/// A key set from a URL counts as fresh for this long, in the isolate and in the Cache API (protocol 8).
pub const KEY_SET_FRESH_MILLIS: i64 = 600_000;
/// While its provider is down a key set counts for this much longer (protocol 8).
pub const KEY_SET_STALE_MILLIS: i64 = KEY_SET_FRESH_MILLIS + 3_600 * 1_000;
/// A provider has this long to send its key set (protocol 8).
pub const KEY_SET_FETCH_MILLIS: i64 = 2_000;
/// A request that waits for a key set which another one asked for looks again after this.
pub const KEY_SET_LOOK_MILLIS: i32 = 25;
/// `Retry-After`, seconds, of a deployment whose settings are wrong: an operator has to mend them.
pub const MISCONFIGURED_RETRY_SECS: u32 = 60;
/// `Retry-After`, seconds, where an issuer's keys or Turnstile cannot be had.
pub const PROVIDER_RETRY_SECS: u32 = 5;
/// An issuer's URL: the longest in use name a tenant and a policy.
pub const ISSUER_NAME_MAX_BYTES: usize = 512;
/// Audiences, claim names and header members in the configuration.
pub const SETTING_TEXT_MAX_BYTES: usize = 255;
/// The longest life of an issuer's tokens where the configuration does not say (contract 4).
pub const ISSUER_LIFETIME_DEFAULT_SECS: i64 = 900;
/// The longest that the configuration may allow for tokens that call the API: a stolen one is good that long.
pub const ISSUER_ACCESS_LIFETIME_MAX_SECS: i64 = 3_600;
/// The longest for tokens that are exchanged, that operate, or that attest.
pub const ISSUER_OTHER_LIFETIME_MAX_SECS: i64 = 86_400;
/// Difference of clocks that is forgiven where the configuration does not say (contract 4).
pub const ISSUER_LEEWAY_DEFAULT_SECS: i64 = 5;
/// The most that the configuration may forgive.
pub const ISSUER_LEEWAY_MAX_SECS: i64 = 60;

/// Nesting of POLICY: plans or models, the model, `input`, the rule, `items`, `enum`.
pub const POLICY_MAX_DEPTH: usize = 12;
/// The largest number of requests, predictions and places in POLICY: more is a slip of the finger.
pub const POLICY_NUMBER_MAX: u32 = 1_000_000;
/// The longest `max_wait_secs`: an hour, as long as an id may be handed over (`ENQUEUE_MAX_AGE_MILLIS`).
pub const WAIT_MAX_SECS: u32 = 3_600;
/// The longest `max_seconds` of a model: half a day of video is more than anyone has offered.
pub const MODEL_RUN_MAX_SECS: u32 = 43_200;
/// `TOKEN_LIFETIME_SECS`, seconds: least, default and most (contract 4).
pub const TOKEN_LIFETIME_SECS: (u32, u32, u32) = (60, 300, 900);
