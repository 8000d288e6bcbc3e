//! Records of the received requests, of their outcomes and of webhook calls, for tests to read.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::rate_window::RateWindow;
use crate::route_name::RouteName;

/// Maximum number of requests kept in full. Older requests are only counted, which bounds the memory of a load test.
const MAX_REQUESTS: usize = 20_000;
/// Maximum length of a recorded body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// One request. Not `Debug`: its headers contain a key.
#[derive(Serialize)]
pub struct RecordedRequest {
    /// The sequence number in order of arrival, from 1.
    pub seq: u64,
    /// When its body was complete.
    pub time_ms: u64,
    /// The route's name.
    pub route: RouteName,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as received, still percent-encoded.
    pub path: String,
    /// The query as received.
    pub query: Option<String>,
    /// Names and values in order of arrival. Bytes that are not UTF-8 become replacement characters.
    pub headers: Vec<(String, String)>,
    /// The first 64 KiB of the body. Bytes that are not UTF-8 become replacement characters.
    pub body: String,
    /// The length of the whole body.
    pub body_bytes: usize,
    /// The response's status; `null` if a fault responded, or there is no response yet.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// Sets the body, cut to [`MAX_BODY_BYTES`].
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body_bytes = body.len();
        self.body = String::from_utf8_lossy(body.get(..MAX_BODY_BYTES).unwrap_or(body)).into_owned();
        self
    }
}

/// A create that was accepted.
#[derive(Debug, Serialize)]
pub struct RecordedCreate {
    /// When it was accepted.
    pub time_ms: u64,
    /// `pred_…`.
    pub id: String,
    /// Shape 2's integer `id`.
    pub number: u64,
    /// The account that pays.
    pub account: String,
    /// `owner/name`.
    pub model: String,
    /// The `input` as received.
    pub input: Map<String, Value>,
    /// Number of outputs.
    pub image_count: u64,
    /// URL that the ended prediction is posted to.
    pub webhook: Option<String>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
}

/// One webhook call.
#[derive(Debug, Serialize)]
pub struct WebhookDelivery {
    /// When the response arrived, or the call failed.
    pub time_ms: u64,
    /// `pred_…`.
    pub id: String,
    /// The URL that was called.
    pub url: String,
    /// The response's status; `null` without a response.
    pub status: Option<u16>,
}

/// Counts of refused requests, by reason.
#[derive(Debug, Default, Serialize)]
pub struct RefusalCounts {
    /// 401: no accepted key.
    pub unauthorized: u64,
    /// 402: too few credits, or over the daily limit.
    pub payment: u64,
    /// 429: too many requests in a minute.
    pub rate_limited: u64,
    /// 429: too many predictions at once.
    pub concurrency: u64,
}

/// Everything recorded.
#[derive(Default)]
pub struct Recorder {
    requests: VecDeque<RecordedRequest>,
    last_seq: u64,
    by_route: BTreeMap<RouteName, u64>,
    vendor: RateWindow,
    vendor_total: u64,
    /// Counts of refused requests.
    pub refused: RefusalCounts,
    /// Accepted creates, oldest first.
    pub creates: Vec<RecordedCreate>,
    /// Number of status requests for each prediction, by its id `pred_…`.
    pub status_polls: BTreeMap<String, u64>,
    /// Number of cancel requests for each prediction, by its id `pred_…`.
    pub cancels: BTreeMap<String, u64>,
    /// Webhook calls, oldest first.
    pub webhooks: Vec<WebhookDelivery>,
    /// Number of requests that a fault was applied to.
    pub faults_fired: u64,
}

impl Recorder {
    /// Records a request. Assigns and returns its sequence number.
    pub fn add(&mut self, mut received: RecordedRequest) -> u64 {
        self.last_seq += 1;
        received.seq = self.last_seq;
        *self.by_route.entry(received.route).or_default() += 1;
        if RouteName::is_vendor(&received.path) {
            self.vendor_total += 1;
            self.vendor.add(received.time_ms);
        }
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(received);
        self.last_seq
    }

    /// Sets the status of a request's response.
    pub fn set_status(&mut self, seq: u64, status: u16) {
        let index = self.requests.binary_search_by_key(&seq, |received| received.seq);
        if let Some(received) = index.ok().and_then(|index| self.requests.get_mut(index)) {
            received.status = Some(status);
        }
    }

    /// Renders `{"requests":[…],"next":seq}`: the requests after `since`, and the `since` of the next call.
    pub fn requests_after(&self, since: u64) -> Value {
        let from = self.requests.partition_point(|received| received.seq <= since);
        let requests: Vec<&RecordedRequest> = self.requests.range(from..).collect();
        json!({"requests": requests, "next": self.last_seq})
    }

    /// Renders the counts at `now_ms`, as members of `GET /state`.
    pub fn report(&mut self, now_ms: u64) -> Value {
        json!({
            "requests": {
                "total": self.vendor_total,
                "by_route": self.by_route,
                "last_minute": self.vendor.count(now_ms),
                "max_in_a_minute": self.vendor.max(),
            },
            "refused": self.refused,
            "creates": self.creates,
            "status_polls": self.status_polls,
            "cancels": self.cancels,
            "webhooks": self.webhooks,
            "faults_fired": self.faults_fired,
        })
    }

    /// Deletes everything. Sequence numbers continue, so that a reader's `since` stays valid.
    pub fn clear(&mut self) {
        *self = Self { last_seq: self.last_seq, ..Self::default() };
    }
}
