//! Follows a prediction for a response that lasts: an event stream, a relayed vendor stream, `Prefer: wait`.
//!
//! The user's Ledger tells each change through a socket (protocol 1). The edge itself watches what the Ledger cannot know:
//!
//! - **The revocation of all tokens up to a time**, which only the Dispatcher knows. The isolate's copy is read each time
//!   it stops being fresh.
//! - **Queue positions**, which change without any change of the prediction. They are read when they stop being fresh; for
//!   `Prefer: wait`, only at its end.
//!
//! A socket that is lost (a deployment, an eviction) is opened again once. Its first message is the present state, so
//! nothing is missed. A Ledger that opens no socket is polled: its build is older than sockets.

use worker::Env;

use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::ledger_client::{
    ask_ledger, ask_with_freshness, open_socket, reopen_socket, tell_ledger, unexpected,
};
use crate::cloudflare::http::outcome::{Counted, RouteError};
use crate::cloudflare::objects::client;
use crate::cloudflare::runtime::platform;
use crate::cloudflare::runtime::sockets::{LedgerSocket, Received};
use crate::constants::{
    LEDGER_POLL_MILLIS, MILLIS_PER_SECOND, QUEUE_POSITION_FRESH_MIN_MILLIS, SOCKET_REOPEN_MAX_MILLIS,
};
use crate::ledger::CloseReason;
use crate::messages::{LedgerEnvelope, LedgerReply, LedgerRequest, StreamId};
use crate::token::Grant;
use crate::types::ids::JobId;
use crate::types::prediction::{PredictionRecord, Status};
use crate::types::time::UnixMillis;
use crate::wire::rejection::Code;

/// A prediction that a response follows.
pub struct Follower {
    env: Env,
    grant: Grant,
    job_id: JobId,
    stream: StreamId,
    /// `None` if the Ledger is polled, or the prediction has ended.
    socket: Option<LedgerSocket>,
    /// True if the stream has a lease, which polls renew: the Ledger opened no socket.
    has_lease: bool,
    may_reopen: bool,
    /// The sequence number of the last state.
    sequence: u64,
    /// When the queue position stops being fresh. `None` if the prediction does not wait.
    position_at: Option<UnixMillis>,
}

/// The news of a prediction that is followed.
pub enum Followed {
    /// The prediction may have changed.
    Record(Box<PredictionRecord>),
    /// Nothing, in the given time.
    Nothing,
    /// The prediction cannot be followed any more: the token is revoked, the prediction is gone, or the socket is lost.
    Ended,
}

impl Follower {
    /// Asks the Ledger for the prediction, and follows it from there. The request is counted.
    pub async fn open(
        context: &RequestContext<'_>,
        caller: &AuthenticatedCaller,
        job_id: &JobId,
        stream: StreamId,
    ) -> Result<Counted<(Self, PredictionRecord)>, RouteError> {
        let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone(), is_socket: true };
        let (counted, socket) = open_socket(context, caller, watch).await?;
        let LedgerReply::Prediction(record) = &counted.value else { return Err(counted.reject(unexpected())) };
        let record = record.as_ref().clone();
        let mut follower = Self::new(context, caller, job_id, stream);
        follower.has_lease = socket.is_none() && !record.status.is_terminal();
        follower.socket = socket;
        follower.note(&record, None);
        Ok(Counted { value: (follower, record), rate: counted.rate })
    }

    fn new(context: &RequestContext<'_>, caller: &AuthenticatedCaller, job_id: &JobId, stream: StreamId) -> Self {
        Self {
            env: context.env.clone(),
            grant: caller.grant.clone(),
            job_id: job_id.clone(),
            stream,
            socket: None,
            has_lease: false,
            may_reopen: true,
            sequence: 0,
            position_at: None,
        }
    }

    /// Waits for the next change, until `until` at most.
    pub async fn next(&mut self, until: UnixMillis) -> Followed {
        let Some(socket) = &self.socket else { return self.poll(until).await };
        let revoked_at = client::revoked_by_is_fresh_until(platform::now());
        // A wait shows no position but the last.
        let position_at = self.position_at.filter(|_| !self.stream.is_wait);
        let wake_at = position_at.into_iter().fold(until.min(revoked_at), UnixMillis::min);
        match socket.next(wait_millis(wake_at)).await {
            Received::Message(message) => self.read(&message),
            Received::Closed(code) if code == CloseReason::Stale.code() => self.reopen().await,
            // Another code of the Ledger: the prediction has ended or is gone, or the token is revoked.
            Received::Closed(4000..=4999) => Followed::Ended,
            Received::Closed(_) if std::mem::take(&mut self.may_reopen) => {
                self.socket = None;
                platform::sleep(jitter_millis(SOCKET_REOPEN_MAX_MILLIS)).await;
                self.reopen().await
            }
            Received::Closed(_) => Followed::Ended,
            Received::Nothing => {
                let now = platform::now();
                if self.is_revoked(now, revoked_at).await {
                    Followed::Ended
                } else if self.stream.is_wait {
                    Followed::Nothing
                } else {
                    self.read_position().await
                }
            }
        }
    }

    /// Reads the queue position again if it has stopped being fresh.
    async fn read_position(&mut self) -> Followed {
        if self.position_at.is_some_and(|at| platform::now() >= at) {
            self.ask(LedgerRequest::Get { job_id: self.job_id.clone() }).await
        } else {
            Followed::Nothing
        }
    }

    /// Reads a message of the socket.
    fn read(&mut self, message: &str) -> Followed {
        match serde_json::from_str(message) {
            Ok(LedgerEnvelope { reply: LedgerReply::Prediction(record), fresh_millis, .. }) => {
                self.learn(record, fresh_millis)
            }
            // A message of a newer build.
            Ok(_) | Err(_) => Followed::Nothing,
        }
    }

    /// Returns whether the token is revoked with those of all users. Asks the Dispatcher at `ask_at`. While it does not
    /// reply, its last reply counts.
    async fn is_revoked(&self, now: UnixMillis, ask_at: UnixMillis) -> bool {
        let known = client::known_revoked_by();
        let revoked_by = if now < ask_at { known } else { client::revoked_by(&self.env, now).await.unwrap_or(known) };
        revoked_by >= Some(self.grant.issued_at)
    }

    /// Opens the socket again.
    async fn reopen(&mut self) -> Followed {
        let (job_id, stream) = (self.job_id.clone(), self.stream.clone());
        let watch = LedgerRequest::Watch { job_id, stream, is_socket: true };
        match reopen_socket(&self.env, &self.grant, watch).await {
            Ok((LedgerReply::Prediction(record), socket)) => {
                self.socket = socket;
                self.learn(record, None)
            }
            Ok(_) | Err(_) => Followed::Ended,
        }
    }

    /// Polls a Ledger that opens no socket. Each poll of a stream renews its lease.
    async fn poll(&mut self, until: UnixMillis) -> Followed {
        platform::sleep(wait_millis(until.min(platform::now().plus_millis(LEDGER_POLL_MILLIS)))).await;
        let job_id = self.job_id.clone();
        let request = if self.stream.is_wait {
            LedgerRequest::Get { job_id }
        } else {
            LedgerRequest::Watch { job_id, stream: self.stream.clone(), is_socket: false }
        };
        self.ask(request).await
    }

    async fn ask(&mut self, request: LedgerRequest) -> Followed {
        match ask_with_freshness(&self.env, &self.grant, request).await {
            Ok((LedgerReply::Prediction(record), fresh_millis)) => self.learn(record, fresh_millis),
            // The Ledger did not reply. It may the next time.
            Err(rejection) if rejection.code == Code::LimiterUnavailable => {
                self.position_at =
                    self.position_at.map(|_| platform::now().plus_millis(QUEUE_POSITION_FRESH_MIN_MILLIS));
                Followed::Nothing
            }
            Ok(_) | Err(_) => Followed::Ended,
        }
    }

    /// Returns a state as what was learned. One that a newer one overtook is nothing.
    fn learn(&mut self, record: Box<PredictionRecord>, fresh_millis: Option<i64>) -> Followed {
        let is_overtaken = record.sequence < self.sequence;
        self.note(&record, fresh_millis);
        if is_overtaken { Followed::Nothing } else { Followed::Record(record) }
    }

    /// Notes a state. Its queue position is read again when it stops being fresh, in `fresh_millis` if the Ledger said so.
    fn note(&mut self, record: &PredictionRecord, fresh_millis: Option<i64>) {
        self.sequence = self.sequence.max(record.sequence);
        let is_queued = record.status == Status::Queued;
        let fresh_millis = fresh_millis.unwrap_or(QUEUE_POSITION_FRESH_MIN_MILLIS);
        self.position_at = is_queued.then(|| platform::now().plus_millis(fresh_millis));
    }

    /// Ends the stream. If it is `unopened`, no vendor request was made, and the prediction may be streamed again at once.
    pub async fn end(self, unopened: bool) {
        // The end of a socket tells the Ledger everything else.
        if self.has_lease || unopened {
            let unwatch = LedgerRequest::Unwatch { stream: self.stream.clone(), unopened };
            let _ = tell_ledger(&self.env, &self.grant.user, unwatch).await;
        }
        // These alerts were raised after the response was sent.
        if let Some(handing_over) = client::hand_over_alerts(&self.env) {
            handing_over.await;
        }
    }
}

/// Asks the Ledger for the prediction as [`Follower::open`] does, and ends the stream at once: for HEAD, without a socket.
pub async fn open_for_head(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    job_id: &JobId,
    stream: StreamId,
) -> Result<Counted<PredictionRecord>, RouteError> {
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone(), is_socket: false };
    let Counted { value, rate } = ask_ledger(context, caller, watch).await?;
    let LedgerReply::Prediction(record) = value else { return Err(Counted { value: (), rate }.reject(unexpected())) };
    // No vendor request is made for HEAD.
    let unwatch = LedgerRequest::Unwatch { stream, unopened: true };
    let _ = tell_ledger(context.env, &caller.grant.user, unwatch).await;
    Ok(Counted { value: *record, rate })
}

/// Waits for the end of a prediction, for `secs` at most. Returns it in its last known state, and whether it waited: not if
/// too many responses wait already.
pub async fn wait_for_end(
    context: &RequestContext<'_>,
    caller: &AuthenticatedCaller,
    mut record: PredictionRecord,
    secs: u32,
) -> (PredictionRecord, bool) {
    let until = context.now.plus_millis(i64::from(secs).saturating_mul(MILLIS_PER_SECOND));
    if record.status.is_terminal() || platform::now() >= until {
        return (record, true);
    }
    let stream = StreamId { id: context.request_id.clone(), vendor: None, is_wait: true };
    let job_id = record.job_id.clone();
    let watch = LedgerRequest::Watch { job_id: job_id.clone(), stream: stream.clone(), is_socket: true };
    let mut follower = Follower::new(context, caller, &job_id, stream);
    match reopen_socket(context.env, &caller.grant, watch).await {
        Ok((LedgerReply::Prediction(present), socket)) => {
            follower.socket = socket;
            follower.note(&present, None);
            record = *present;
        }
        // Polls would cost the Ledger a request a second for each replay that waits.
        Err(rejection) if rejection.code == Code::RateLimited => return (record, false),
        Ok(_) | Err(_) => {}
    }
    while !record.status.is_terminal() && platform::now() < until {
        match follower.next(until).await {
            Followed::Record(present) => record = *present,
            Followed::Nothing => {}
            Followed::Ended => return (record, true),
        }
    }
    if let Followed::Record(present) = follower.read_position().await {
        record = *present;
    }
    (record, true)
}

/// Returns the time until `at`, at least a millisecond.
fn wait_millis(at: UnixMillis) -> i32 {
    i32::try_from(at.millis_since(platform::now())).unwrap_or(i32::MAX).max(1)
}

/// Returns a random time of at most about `max`.
fn jitter_millis(max: i64) -> i32 {
    let [random, ..] = platform::random();
    i32::try_from(max.saturating_mul(i64::from(random)).div_euclid(256)).unwrap_or_default()
}
