//! Every number with its unit in the name and its reason beside it.
//!
//! Units: `MILLIS`, `SECS`, `BYTES`, `CHARS`, `DAYS`, or a count of what the name says. `MAX_DEPTH` counts nested JSON
//! arrays and objects. References such as "protocol 4" name a section of docs/protocol.md, "contract" of
//! docs/contract.md and "vendor-api" of docs/vendor-api.md.

// ---- Time and money -------------------------------------------------------------------------------------------------

/// Milliseconds in a second.
pub const MILLIS_PER_SECOND: i64 = 1_000;
/// Seconds in a minute, the period of the vendor's rate limit.
pub const SECONDS_PER_MINUTE: i64 = 60;
/// Milliseconds of a minute.
pub const MILLIS_PER_MINUTE: i64 = 60_000;
/// Seconds in a UTC day. Unix time has no leap seconds.
pub const SECONDS_PER_DAY: i64 = 86_400;
/// Milliseconds in an hour.
pub const MILLIS_PER_HOUR: i64 = 3_600 * MILLIS_PER_SECOND;
/// Milliseconds in a UTC day.
pub const MILLIS_PER_DAY: i64 = SECONDS_PER_DAY * MILLIS_PER_SECOND;
/// Largest difference between the clocks of two objects, or of an edge and an object (protocol 5).
pub const CLOCK_TOLERANCE_MILLIS: i64 = 2_000;

/// Micro-credits in a credit. Six decimals hold every price that the vendor has shown ("2.5"), with room to spare.
pub const MICROS_PER_CREDIT: i64 = 1_000_000;
/// Largest amount, 10^9 credits. Far below 2^53, the largest integer that SQL's f64 holds exactly.
pub const MAX_CREDITS_MICROS: i64 = 1_000_000_000_000_000;

// ---- Requests of clients --------------------------------------------------------------------------------------------

/// Body of a create. Prompts are short; an inline image belongs in `/v1/files`.
pub const CREATE_BODY_MAX_BYTES: usize = 256 * 1024;
/// Body of every other route (contract 1).
pub const OTHER_BODY_MAX_BYTES: usize = 16 * 1024;
/// Nesting of a request body. The deepest rule is an array in `input`; 16 leaves room and stops attacks on the stack.
pub const BODY_MAX_DEPTH: usize = 16;
/// JSON values of a body: 20 creates with 500 values each. `POLICY` can raise it by a larger `max_items`.
pub const BODY_MAX_VALUES: usize = 10_000;
/// JSON values of a body beside those of an array with `POLICY`'s largest `max_items`.
pub const BODY_VALUES_BESIDE_ITEMS: usize = 1_000;
/// Characters of a text input without `max_length`, as clients may send them: a long prompt.
pub const INPUT_TEXT_MAX_CHARS: u32 = 4_000;
/// Items of an array input without `max_items`, as clients may send them: a handful of pictures.
pub const INPUT_ITEMS_MAX: u32 = 16;
/// Fewest characters after `file_` that make a text look like the vendor's id of a file. Shorter ones are words.
pub const VENDOR_FILE_ID_MIN_CHARS: usize = 6;
/// Predictions in a batch (contract 1).
pub const BATCH_MAX: usize = 20;
/// Body of a batch (contract 1).
pub const BATCH_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Nesting of a batch: two levels more than a create.
pub const BATCH_MAX_DEPTH: usize = BODY_MAX_DEPTH + 2;
/// An uploaded file (contract 1). Below the platform's own limit of 100 MB, whose error response has no CORS headers.
pub const FILE_MAX_BYTES: u64 = 90_000_000;
/// An idempotency key (contract 2).
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// Longest `Prefer: wait` (contract 2).
pub const WAIT_PREFERRED_MAX_SECS: u32 = 60;
/// Items on a page of a list, unless the client says how many (contract 1).
pub const PAGE_SIZE_DEFAULT: u32 = 25;
/// Most items on a page of a list (contract 1).
pub const PAGE_SIZE_MAX: u32 = 100;
/// `Retry-After` if the settings are wrong: an operator has to correct them.
pub const MISCONFIGURED_RETRY_SECS: u32 = 60;
/// `Retry-After` if an issuer's keys or Turnstile's verdict could not be fetched.
pub const PROVIDER_RETRY_SECS: u32 = 5;

// ---- Messages between the edge and the objects ----------------------------------------------------------------------

/// Time-out of an object's acknowledgement. After it, the client gets 503 (protocol 1).
pub const ACK_TIMEOUT_MILLIS: i64 = 2_000;
/// Time-out of the Dispatcher's acknowledgement to a Ledger. Shorter than the edge's, so that the Ledger still replies
/// in time.
pub const DISPATCHER_ACK_TIMEOUT_MILLIS: i64 = 1_600;
/// How long the edge waits for the outcome of a create while the prediction is `submitting` (protocol 1).
pub const OUTCOME_WAIT_MILLIS: i64 = 35_000;
/// How old the id of an `enqueue` may be (protocol 2).
pub const ENQUEUE_MAX_AGE_MILLIS: i64 = 3_600 * 1_000;
/// How long the Dispatcher remembers the `job_id`s of ended predictions (protocol 2).
pub const TOMBSTONE_MILLIS: i64 = 25 * 3_600 * 1_000;
/// First wait between two deliveries of a job update. It doubles up to [`DELIVERY_MAX_MILLIS`].
pub const DELIVERY_FIRST_MILLIS: i64 = 500;
/// Longest wait between two deliveries of a job update.
pub const DELIVERY_MAX_MILLIS: i64 = 60_000;
/// Job updates for one Ledger in one message.
pub const DELIVERY_BATCH: usize = 20;
/// An outbox row that is not acknowledged for this long becomes a dead letter (protocol 2).
pub const DEAD_LETTER_MILLIS: i64 = 24 * 3_600 * 1_000;
/// An alarm that is this late, or missing while work is due, is set again (protocol 3).
pub const ALARM_LATE_MILLIS: i64 = 5_000;
/// Wait before a Ledger's alarm tries again to use storage that only a newer version may touch (protocol 3).
pub const TOO_NEW_RETRY_MILLIS: i64 = 3_600 * 1_000;

// ---- Requests to the vendor -----------------------------------------------------------------------------------------

/// Time-out of the first byte of a vendor response.
pub const VENDOR_FIRST_BYTE_MILLIS: u32 = 30_000;
/// Time-out of a whole vendor response.
pub const VENDOR_TOTAL_MILLIS: u32 = 45_000;
/// Time-out of an upload: the vendor needs time to receive 90 MB. Shorter than [`UPLOAD_RESERVATION_MILLIS`], which also
/// covers the messages before and after it.
pub const FILE_UPLOAD_MILLIS: u32 = 290_000;
/// Body of a poll's response. A prediction has a few KB, and `logs` of a long run have been seen to exceed 1 MB.
pub const VENDOR_POLL_BODY_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Body of every other vendor response. A model list with schemas may be large.
pub const VENDOR_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Vendor bodies in an isolate at once: [`VENDOR_BODY_MAX_BYTES`] for each of [`VENDOR_CONNECTIONS_MAX`], and the rest
/// of one body of [`VENDOR_POLL_BODY_MAX_BYTES`]. Other large bodies wait their turn. An isolate has 128 MB in all.
pub const VENDOR_BODIES_MAX_BYTES: usize = 8 * 1024 * 1024;
/// A vendor body is handed to the core in pieces of this size, so that wasm memory never holds a whole one.
pub const VENDOR_BODY_CHUNK_BYTES: usize = 64 * 1024;
/// A text in a vendor response that is kept: an output URL of the largest length, four bytes a character.
pub const VENDOR_TEXT_MAX_BYTES: usize = 4 * OUTPUT_URL_MAX_CHARS;
/// Outputs that are read from a response, before those that are not allowed are dropped.
pub const VENDOR_OUTPUTS_READ_MAX: usize = 4 * OUTPUTS_MAX;
/// An unknown status word in the log.
pub const STATUS_WORD_MAX_CHARS: usize = 16;
/// An output URL (contract 2).
pub const OUTPUT_URL_MAX_CHARS: usize = 2_048;
/// Outputs of one prediction that are kept: the largest `max_image_count` anyone has asked for, with room.
pub const OUTPUTS_MAX: usize = 64;
/// The vendor's id of a prediction. Ids seen so far have 14 characters; a longer text than this is not an id.
pub const VENDOR_ID_MAX_BYTES: usize = 128;
/// Models kept from the vendor's list.
pub const MODEL_LIST_MAX: usize = 1_000;
/// Shortest time between two fetches of the model list (protocol 4).
pub const MODEL_LIST_FETCH_MILLIS: i64 = 600_000;
/// How long an isolate caches the Dispatcher's model list (protocol 4).
pub const MODEL_LIST_CACHE_MILLIS: i64 = 60_000;

/// Window in which vendor requests are counted: a minute, and one second for their way to the vendor (protocol 4).
pub const VENDOR_WINDOW_MILLIS: i64 = 61_000;
/// Up to this limit of requests a minute, each vendor request is counted at its own millisecond; above it, by the
/// second.
pub const VENDOR_EXACT_REQUESTS: usize = 600;
/// Lanes' shares of the vendor requests a minute, in percent: creates, polls, cancels, other (protocol 4, lanes).
pub const LANE_PERCENT: [usize; 4] = [50, 35, 10, 5];
/// Requests of each minute that only a cancel may use (protocol 4, lanes).
pub const CANCEL_RESERVE_REQUESTS: usize = 3;
/// How long a user that was told to wait keeps its turn for a file or a stream. Longer than [`PERMIT_WAIT_MAX_MILLIS`].
pub const PERMIT_TURN_MILLIS: i64 = 60_000;
/// Longest `Retry-After` of a file or a stream, so that the client comes back while it has its turn.
pub const PERMIT_WAIT_MAX_MILLIS: i64 = 45_000;
/// How long after that time a permit is held for the client.
pub const PERMIT_GRACE_MILLIS: i64 = 5_000;
/// Files that wait for their deletion at the vendor. Each takes about 100 bytes of memory. Ledgers keep the rest.
pub const FILE_DELETIONS_MAX: usize = 1_000;
/// Wait after a deletion of a forgotten file failed.
pub const FILE_DELETION_RETRY_MILLIS: i64 = 600_000;
/// Tries to delete a forgotten file: four hours, in which a key can be mended.
pub const FILE_DELETION_TRIES_MAX: u32 = 24;
/// Wait of the deletions of forgotten files for a connection.
pub const FILE_DELETION_WAIT_MILLIS: i64 = 10_000;
/// Open connections to the vendor. An object has six for everything (protocol 4).
pub const VENDOR_CONNECTIONS_MAX: usize = 5;
/// Connections of [`VENDOR_CONNECTIONS_MAX`] that are reserved for polls and cancels.
pub const VENDOR_CONNECTIONS_RESERVED: usize = 1;

// ---- Polls ----------------------------------------------------------------------------------------------------------

/// Wait before the first poll of a prediction, and the shortest wait before a later one (protocol 4).
pub const POLL_FIRST_MILLIS: i64 = 2_000;
/// Longest wait between two polls of a prediction within its `max_seconds`.
pub const POLL_MAX_MILLIS: i64 = 30_000;
/// Shortest wait between two polls of a prediction: the vendor requires it (vendor-api, RATE).
pub const POLL_MIN_MILLIS: i64 = 1_000;
/// Wait between two polls of a prediction that exceeded its `max_seconds` (protocol 1).
pub const OVERDUE_POLL_MILLIS: i64 = 30_000;
/// A webhook triggers a poll of its prediction now, but at most once in this time (protocol 4).
pub const WEBHOOK_POLL_MIN_MILLIS: i64 = 10_000;
/// Calls of a prediction's webhook that reach the Dispatcher at once. Then one in [`WEBHOOK_POLL_MIN_MILLIS`] does.
pub const WEBHOOK_BURST: i64 = 3;
/// Predictions in an isolate's webhook limiter before those without a limit are dropped. Each takes about 100 bytes.
pub const WEBHOOK_LIMITER_ENTRIES: usize = 1_000;
/// A prediction is lost after this many polls that found no such prediction (protocol 1), if they also span
/// [`LOST_AFTER_MILLIS`].
pub const LOST_AFTER_POLLS: u32 = 3;
/// Shortest span of the polls of [`LOST_AFTER_POLLS`].
pub const LOST_AFTER_MILLIS: i64 = 60_000;

// ---- Back-off -------------------------------------------------------------------------------------------------------

/// A model is paused for this long after two users in a row got the vendor's own 403 or 404 for it (protocol 1). As long
/// ago the vendor must have accepted the last create of that model.
pub const MODEL_PAUSE_MILLIS: i64 = 300_000;
/// After a create is throttled although we counted a free slot, our slot limit is one lower for this long (protocol 1).
pub const SLOT_PENALTY_MILLIS: i64 = 60_000;
/// Consecutive failures that open the circuit breaker (protocol 1).
pub const CIRCUIT_FAILURES: u32 = 5;
/// First wait before a probe. It doubles up to [`PROBE_MAX_MILLIS`] (protocol 1).
pub const PROBE_FIRST_MILLIS: i64 = 30_000;
/// Longest wait before a probe.
pub const PROBE_MAX_MILLIS: i64 = 600_000;
/// Wait after a throttled create whose response has no usable `Retry-After`.
pub const THROTTLE_DEFAULT_MILLIS: i64 = 5_000;
/// Requests of the vendor's minute that may remain unexplained before the key counts as used by somebody else: some are on
/// the way when the vendor counts.
pub const KEY_LEAK_TOLERANCE_REQUESTS: usize = 3;
/// Time without its cause after which an alert is raised again. A cause that lasts is told once.
pub const ALERT_QUIET_MILLIS: i64 = 600_000;
/// Bounds of the time for which a queue may stand before an alert is raised: half of `max_wait_secs` within them. The vendor's
/// window is a minute.
pub const QUEUE_STUCK_MIN_MILLIS: i64 = 120_000;
/// See [`QUEUE_STUCK_MIN_MILLIS`].
pub const QUEUE_STUCK_MAX_MILLIS: i64 = 600_000;
/// Tokens that an isolate refuses in a minute before an alert is raised. Apps with a wrong clock or an old token cause some.
pub const BAD_TOKENS_PER_MINUTE: u32 = 100;
/// Time in which the unknown ids of a user are counted.
pub const FOREIGN_IDS_MILLIS: i64 = 600_000;
/// Different unknown ids of a user in that time that are an alert. A page of a list has 100 of the user's own at most.
pub const FOREIGN_IDS_MAX: usize = 30;
/// Days before today that say what a user usually spends.
pub const UNUSUAL_SPEND_DAYS: i64 = 7;
/// Days of them on which a user must have spent something. Else the user is a newcomer.
pub const UNUSUAL_SPEND_KNOWN_DAYS: usize = 3;
/// More than so many times the most of those days is unusual.
pub const UNUSUAL_SPEND_FACTOR: u32 = 3;
/// The latest alerts that are kept for the operator's API.
pub const ALERTS_KEPT: usize = 50;
/// Waits before the second and the third try to send an alert. There is no fourth: the log has the alert.
pub const ALERT_RETRY_MILLIS: [i64; 2] = [10_000, 60_000];
/// Wait of the edge and of Ledgers before they hand alerts over again to a Dispatcher that did not take them.
pub const ALERT_HAND_OVER_MILLIS: i64 = 30_000;
/// Time for which an event about the end of a prediction is offered to its receiver.
pub const EVENT_KEPT_MILLIS: i64 = MILLIS_PER_DAY;
/// Wait after the first failed try to send an event. It doubles with each further one.
pub const EVENT_RETRY_FIRST_MILLIS: i64 = 10_000;
/// Longest wait between two tries: an hour. Each try costs an alarm and a few rows for each user who waits, and a receiver may be
/// gone for days.
pub const EVENT_RETRY_MAX_MILLIS: i64 = MILLIS_PER_HOUR;
/// Time after a failed try from which on a new event is a reason for the next one: its user is there and waits for it.
pub const EVENT_RETRY_FOR_NEW_MILLIS: i64 = 600_000;
/// Wait of the alarm that goes on with events after an instance died.
pub const EVENT_RECOVERY_MILLIS: i64 = 60_000;
/// Events of a user that wait for a receiver that does not take them. Beyond that, the oldest are dropped.
pub const EVENTS_WAITING_MAX: usize = 200;
/// Longest wait for a receiver's response to a notification. It has nothing to compute before it responds.
pub const NOTIFICATION_TIMEOUT_MILLIS: u32 = 10_000;
/// Longest wait until the vendor's `X-RateLimit-Reset` that is believed: two of its windows. A reset in milliseconds, or
/// of another clock, is further ahead.
pub const RATE_LIMIT_RESET_MAX_MILLIS: i64 = 120_000;
/// Longest `Retry-After` of the vendor that is obeyed: an hour.
pub const RETRY_AFTER_MAX_SECS: i64 = 3_600;

/// Longest pause of creates by an operator, unless it is renewed: an hour, the longest `max_wait_secs` too.
pub const PAUSE_MAX_SECS: u32 = 3_600;
/// Consecutive 401 to the key that creates use, after which they use the other key.
pub const KEY_REFUSALS_MAX: u32 = 3;
/// Versions of the Worker whose vendor key's fingerprint is kept: more than anyone rolls back.
pub const KEY_VERSIONS_MAX: usize = 100;
/// Unknown outcomes that an operator is shown.
pub const UNKNOWN_OUTCOMES_SHOWN: usize = 100;
/// Pauses of operators at once. All of them are one stored row.
pub const PAUSES_MAX: usize = 100;

// ---- Queue ----------------------------------------------------------------------------------------------------------

/// A deadline takes effect when a second check, at least this much later, confirms it (protocol 5).
pub const EXPIRY_CONFIRM_MILLIS: i64 = 1_000;
/// Stored inputs of all predictions that the vendor does not have yet, bytes of JSON: 128 creates of the largest size. A
/// plan's part is its `pool_waiting_share`.
pub const STORED_INPUT_BYTES_MAX: u32 = 32 * 1_024 * 1_024;
/// A user's part of them: a sixteenth, so that it takes 16 users to fill the store.
pub const USER_INPUT_BYTES_MAX: u32 = STORED_INPUT_BYTES_MAX / 16;
/// The Dispatcher's clock is set back if the real time is this far behind it, and still is at a look that comes
/// [`CLOCK_CONFIRM_MILLIS`] later. Clocks of machines differ by less.
pub const CLOCK_STEP_MILLIS: i64 = 5_000;
/// See [`CLOCK_STEP_MILLIS`].
pub const CLOCK_CONFIRM_MILLIS: i64 = 1_000;
/// The Dispatcher's clock is stored when it is this far ahead of what is stored, and another row is stored.
pub const CLOCK_STORED_MILLIS: i64 = 60_000;
/// The precision to which the Dispatcher stores when a model was last accepted.
pub const HEALTH_STORED_MILLIS: i64 = 60_000;
/// A queue position stays fresh for this part of its ETA (protocol 1, readers).
pub const QUEUE_POSITION_FRESH_PARTS: i64 = 10;
/// Shortest time that a queue position stays fresh.
pub const QUEUE_POSITION_FRESH_MIN_MILLIS: i64 = 2_000;
/// Longest time that a queue position stays fresh.
pub const QUEUE_POSITION_FRESH_MAX_MILLIS: i64 = 30_000;
/// Queue positions are computed anew at most once in this time.
pub const POSITIONS_FRESH_MILLIS: i64 = 1_000;
/// A run is expected to take at least this part of the mean longer.
pub const RUN_LEFT_PARTS: i64 = 10;
/// A run of a model whose runs are not known is expected to take at least this part of its age longer.
pub const UNKNOWN_RUN_LEFT_PARTS: i64 = 3;
/// Runs that make up a mean run time. With fewer, one odd run moves every ETA; with more, a slower vendor shows late.
pub const AVERAGED_RUNS: i64 = 20;
/// Assumed run time of a prediction until one has been observed.
pub const ASSUMED_RUN_MILLIS: i64 = 20_000;
/// UTC days whose spend and refusals are kept, today included.
pub const SPEND_DAYS: i64 = 90;
/// Rows of spend in a page.
pub const SPEND_PAGE_MAX: u32 = 1_000;
/// Time between two hand-overs of an isolate's counts of refused requests to the Dispatcher.
pub const REFUSALS_HAND_OVER_MILLIS: i64 = 60_000;

// ---- Ledger ---------------------------------------------------------------------------------------------------------

/// `RETENTION_DAYS`, how long ended predictions are kept: minimum, default and maximum (protocol 7). The minimum is as
/// long as an idempotency key is kept.
pub const RETENTION_DAYS: (u32, u32, u32) = (1, 7, 30);
/// How much longer than its predictions' retention a batch is kept: their longest wait and run.
pub const BATCH_OPEN_MILLIS: i64 = 2 * 24 * 3_600 * 1_000;
/// How long the spending of a token with caps is kept after the token's expiry: longer than a prediction can run.
pub const JTI_KEPT_MILLIS: i64 = 7 * 24 * 3_600 * 1_000;
/// When a Ledger without any row but short-lived marks is deleted.
pub const IDLE_LEDGER_MILLIS: i64 = 7 * 24 * 3_600 * 1_000;
/// A file that no upload and no create used for this many whole days is deleted (protocol 9).
pub const FILE_UNUSED_MAX_DAYS: i64 = 7;
/// How long the room of an upload is reserved: longer than the upload can take.
pub const UPLOAD_RESERVATION_MILLIS: i64 = 300_000;
/// Forgotten files that a Ledger hands over to the Dispatcher at once.
pub const FORGOTTEN_FILES_BATCH: usize = 100;
/// Shortest time between two looks for forgotten files by a Ledger's alarm.
pub const FILE_SWEEP_MILLIS: i64 = 3_600 * 1_000;
/// Time until the next look after a full batch.
pub const FILE_SWEEP_AGAIN_MILLIS: i64 = 60_000;
/// Days of usage that are kept and shown (contract 1, account).
pub const USAGE_DAYS: i64 = 30;
/// How long the revocation of a deleted user's tokens, and what those spent, is kept: until none of them can be valid.
pub const ERASED_MARKS_MILLIS: i64 = 48 * 3_600 * 1_000;
/// Longest time of a user's own limits.
pub const OWN_LIMITS_MAX_MILLIS: i64 = 30 * MILLIS_PER_DAY;
/// How long an idempotency key is kept (contract 2).
pub const IDEMPOTENCY_MILLIS: i64 = 24 * 3_600 * 1_000;
/// How long the Ledger waits before it repeats a withdrawal that was not acknowledged (protocol 1).
pub const WITHDRAW_RETRY_MILLIS: i64 = 5_000;
/// How long the Ledger remembers a withdrawal of a prediction that it does not know: longer than a message can be in
/// transit and still be accepted.
pub const WITHDRAWN_MILLIS: i64 = 60_000;
/// Time after a prediction's longest wait and longest run, at which its Ledger asks the Dispatcher for the prediction's
/// state (protocol 2).
pub const STATE_CHECK_SLACK_MILLIS: i64 = 600_000;
/// Number of blocks in which a user's `requests_per_minute` are drawn. An instance that dies loses at most one block
/// (protocol 4).
pub const REQUEST_BLOCKS_PER_LIMIT: u32 = 10;
/// Repeats of a user in any minute, for each of the plan's `requests_per_minute`: repeats of an idempotency key, and
/// calls of `/auth/token` and `/auth/revoke`. A client repeats a create a few times, so this leaves room for each of them.
pub const REPEATS_PER_REQUEST: u32 = 4;
/// How long a block admits requests from memory (protocol 4).
pub const REQUEST_BLOCK_MILLIS: i64 = 5_000;
/// How long a block counts: a minute, and the time in which it admits requests (protocol 4).
pub const REQUEST_WINDOW_MILLIS: i64 = 65_000;

// ---- Event streams and vendor streams -------------------------------------------------------------------------------

/// Open event streams of one user (contract 1).
pub const EVENT_STREAMS_MAX: usize = 4;
/// Sockets of one user beside those of event streams: of waits and vendor streams (protocol 1).
pub const OTHER_SOCKETS_MAX: usize = 28;
/// A socket of this age is closed and does not count: no response lasts as long.
pub const SOCKET_MAX_MILLIS: i64 = EVENT_STREAM_MAX_MILLIS + 5_000;
/// Longest pause before a socket that was lost is opened again: a deployment closes all of them at once.
pub const SOCKET_REOPEN_MAX_MILLIS: i64 = 1_000;
/// Wait between two polls of a Ledger that opens no socket.
pub const LEDGER_POLL_MILLIS: i64 = 1_000;
/// Wait between two comments, which keep proxies from closing an event stream and reveal a client that left (contract
/// 1).
pub const EVENT_HEARTBEAT_MILLIS: i64 = 15_000;
/// Longest event stream (contract 1).
pub const EVENT_STREAM_MAX_MILLIS: i64 = 300_000;
/// Lease of a stream that polls. If it does not renew it in this time, it counts as closed.
pub const STREAM_LEASE_MILLIS: i64 = 10_000;
/// Shortest time between two openings of a prediction's vendor stream (contract 1).
pub const STREAM_REOPEN_MILLIS: i64 = 10_000;
/// A vendor stream without data for this long is closed.
pub const STREAM_SILENCE_MILLIS: u32 = 60_000;

// ---- Tokens ---------------------------------------------------------------------------------------------------------

/// A whole token. RS512 with a 4096-bit key and generous claims stays below 4 KB; the platform allows 16 KB of headers.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// A token's header as JSON text: `alg`, `typ`, `kid` and a few configured members.
pub const TOKEN_HEADER_MAX_BYTES: usize = 1024;
/// Nesting of a token's header and claims. Identity providers nest two or three levels; more is an attack on the stack.
pub const TOKEN_MAX_DEPTH: usize = 8;
/// A `kid`. Those of Cognito and Entra have 44 characters. It is only ever compared.
pub const TOKEN_KID_MAX_BYTES: usize = 128;
/// Names in an `aud` array. Identity providers list a handful; more is an attempt to make us compare for long.
pub const TOKEN_AUDIENCES_MAX: usize = 32;
/// A subject (contract 5). OpenID Connect Core section 2 has the same limit.
pub const TOKEN_SUBJECT_MAX_CHARS: usize = 255;
/// A token's own id, `jti`.
pub const TOKEN_ID_MAX_CHARS: usize = 255;
/// The client that a token was issued to, as Valetkey's own tokens name it. A longer name is not passed on.
pub const TOKEN_CLIENT_ID_MAX_CHARS: usize = 255;
/// An address that an issuer vouches for (RFC 5321 section 4.5.3.1.3, without the brackets). A longer one does not count.
pub const TOKEN_EMAIL_MAX_CHARS: usize = 254;
/// The plan claim. No plan has a longer name, so a longer one is an unknown plan.
pub const TOKEN_PLAN_MAX_BYTES: usize = 64;
/// Verified tokens in an isolate's cache, of about 1 KB each (protocol 8).
pub const TOKEN_CACHE_ENTRIES: usize = 1_000;
/// Recently used tokens that an insert into the full cache skips before it evicts one anyway.
pub const TOKEN_CACHE_EVICTION_TRIES: usize = 8;
/// How long an isolate uses the revoked-before time that the Dispatcher told it. With the time of a reply this stays
/// within the 30 s of protocol 7.
pub const REVOKED_FRESH_MILLIS: i64 = 25_000;
/// Wait after the Dispatcher did not reply with the revoked-before time.
pub const REVOKED_RETRY_MILLIS: i64 = 5_000;
/// The same before its first reply, when every request is refused with `Retry-After: 1`.
pub const REVOKED_FIRST_RETRY_MILLIS: i64 = 1_000;
/// Wait between two looks by a request that waits for the first reply, which another request has asked for.
pub const REVOKED_POLL_MILLIS: i32 = 50;
/// Rows of the audit log, beyond which the oldest are deleted.
pub const AUDIT_MAX_ROWS: u32 = 10_000;
/// How long a row of the audit log is kept: 400 days, so that a yearly review finds the year before.
pub const AUDIT_RETENTION_MILLIS: i64 = 400 * 24 * 3_600 * 1_000;
/// Requests of an operator in a minute, whatever the plan of the operator's token: enough for a script that revokes users
/// one by one.
pub const OPERATOR_REQUESTS_PER_MINUTE: u32 = 240;

// ---- Proofs of possession -------------------------------------------------------------------------------------------

/// A proof of possession: a key of a few hundred bytes and five claims.
pub const PROOF_MAX_BYTES: usize = 4 * 1024;
/// Nesting of a proof's header and claims: object, `jwk`, `key_ops`.
pub const PROOF_MAX_DEPTH: usize = 3;
/// Maximum age of a proof. Clocks of phones are off by minutes. Its id is kept for as long.
pub const PROOF_AGE_MAX_SECS: i64 = 300;
/// How far in the future a proof may be dated. It limits how long a proof that was made in advance is good.
pub const PROOF_AHEAD_MAX_SECS: i64 = 60;
/// Time between two deletions of the ids of expired proofs by a Ledger.
pub const PROOF_SWEEP_MILLIS: i64 = 60_000;

// ---- Key sets and issuers -------------------------------------------------------------------------------------------

/// A key set at a URL (protocol 8).
pub const KEY_SET_MAX_BYTES: usize = 256 * 1_024;
/// Nesting of a JWK set: set, keys, key, `key_ops`.
pub const KEY_SET_MAX_DEPTH: usize = 4;
/// How long a key set from a URL is fresh, in the isolate and in the Cache API (protocol 8).
pub const KEY_SET_FRESH_MILLIS: i64 = 600_000;
/// How long a key set is used if it cannot be fetched again (protocol 8): an hour longer than it is fresh.
pub const KEY_SET_STALE_MILLIS: i64 = KEY_SET_FRESH_MILLIS + 3_600 * 1_000;
/// Time-out of fetching a key set (protocol 8).
pub const KEY_SET_FETCH_MILLIS: i64 = 2_000;
/// Wait between two polls by a request that waits for a key set which another request is fetching.
pub const KEY_SET_POLL_MILLIS: i32 = 25;
/// Nesting of `ISSUERS`: list, issuer, keys, jwks, keys, key, `key_ops`.
pub const ISSUERS_MAX_DEPTH: usize = 7;
/// An issuer's name or URL. The longest in use name a tenant and a policy.
pub const ISSUER_NAME_MAX_BYTES: usize = 512;
/// Audiences, claim names and header members in the settings.
pub const SETTING_TEXT_MAX_BYTES: usize = 255;
/// Maximum lifetime of an issuer's tokens, unless the settings say otherwise (contract 4).
pub const ISSUER_LIFETIME_DEFAULT_SECS: i64 = 900;
/// Largest lifetime that the settings may allow for tokens that call the API: a stolen token is good for that long.
pub const ISSUER_ACCESS_LIFETIME_MAX_SECS: i64 = 3_600;
/// Largest lifetime for tokens that are exchanged, that operators use, or that attest an app.
pub const ISSUER_OTHER_LIFETIME_MAX_SECS: i64 = 86_400;
/// Tolerated clock difference of an issuer, unless the settings say otherwise (contract 4).
pub const ISSUER_LEEWAY_DEFAULT_SECS: i64 = 5;
/// Largest clock difference that the settings may tolerate.
pub const ISSUER_LEEWAY_MAX_SECS: i64 = 60;

// ---- Token endpoint -------------------------------------------------------------------------------------------------

/// `TOKEN_LIFETIME_SECS`: minimum, default and maximum (contract 4).
pub const TOKEN_LIFETIME_SECS: (u32, u32, u32) = (60, 300, 900);
/// Parameters of a form. The endpoints know a dozen.
pub const FORM_PARAMETERS_MAX: usize = 32;
/// Items of a list in a form, such as models. No deployment has as many.
pub const FORM_LIST_MAX: usize = 100;
/// A Turnstile token. Its documentation says at most 2,048 characters.
pub const TURNSTILE_TOKEN_MAX_BYTES: usize = 2_048;
/// Turnstile's response, which has a few hundred bytes.
pub const TURNSTILE_RESPONSE_MAX_BYTES: u32 = 16 * 1024;
/// Time-out of Turnstile's response.
pub const TURNSTILE_TIMEOUT_MILLIS: u32 = 5_000;

/// `Retry-After` of a caller without an identity whose address is out of requests: the period of the platform's
/// rate-limit binding (wrangler.toml).
pub const ADDRESS_RETRY_SECS: u32 = 60;

// ---- POLICY ---------------------------------------------------------------------------------------------------------

/// Nesting of POLICY: plans or models, the model, `input`, the rule, `items`, `enum`.
pub const POLICY_MAX_DEPTH: usize = 12;
/// Largest number of requests, predictions or queue positions in POLICY: more is a typing error.
pub const POLICY_NUMBER_MAX: u32 = 1_000_000;
/// Debts that are stored of entries which do not wait in the queue. With large weights they are paid back over many starts. Each
/// takes about 80 bytes of one row, as does each of the 10,000 that may wait, and a row may have 2 MB.
pub const DEBTS_MAX: usize = 10_000;
/// Largest weight in the queue.
pub const WEIGHT_MAX: u32 = 1_000;
/// `max_files` of a plan that does not say.
pub const FILES_DEFAULT: u32 = 100;
/// `max_file_bytes` of a plan that does not say: eleven files of the largest size.
pub const FILE_BYTES_DEFAULT: u64 = 1_000_000_000;
/// Largest `max_file_bytes`: a terabyte, more than anyone uploads in a week.
pub const FILE_BYTES_MAX: u64 = 1_000_000_000_000;
/// Largest `max_wait_secs`: an hour, the same as [`ENQUEUE_MAX_AGE_MILLIS`].
pub const WAIT_MAX_SECS: u32 = 3_600;
/// Largest `max_seconds` of a model: 12 hours of video is more than anyone has offered.
pub const MODEL_RUN_MAX_SECS: u32 = 43_200;
