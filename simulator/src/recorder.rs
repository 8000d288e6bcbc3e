//! What the simulator received, for tests to read.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::rate_window::RateWindow;
use crate::route_name::RouteName;

/// Requests kept in full; older ones are only counted. Bounds the memory of a load test.
const MAX_REQUESTS: usize = 20_000;
/// How much of a body is kept.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// One request. No `Debug`: its headers hold a key.
#[derive(Serialize)]
pub struct RecordedRequest {
    /// Its place in the order of arrival, from 1.
    pub seq: u64,
    /// When it was complete.
    pub time_ms: u64,
    /// The route's name.
    pub route: RouteName,
    /// `GET`.
    pub method: String,
    /// The path as it came, still percent-encoded.
    pub path: String,
    /// The query as it came.
    pub query: Option<String>,
    /// Names and values in order of arrival. Values that are not UTF-8 are shown with replacement characters.
    pub headers: Vec<(String, String)>,
    /// The first 64 KiB of the body; what is not UTF-8 is shown with replacement characters.
    pub body: String,
    /// The length of the whole body.
    pub body_bytes: usize,
    /// The answer's status; `null` where a fault answered, or nobody yet.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// Sets the body, cut to what is kept.
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body_bytes = body.len();
        self.body = String::from_utf8_lossy(body.get(..MAX_BODY_BYTES).unwrap_or(body)).into_owned();
        self
    }
}

/// A create that was accepted.
#[derive(Debug, Serialize)]
pub struct RecordedCreate {
    /// When.
    pub time_ms: u64,
    /// `pred_…`.
    pub id: String,
    /// ResponseShape 2's integer id.
    pub number: u64,
    /// Who pays.
    pub account: String,
    /// `owner/name`.
    pub model: String,
    /// The `input` as received.
    pub input: Map<String, Value>,
    /// How many outputs.
    pub image_count: u64,
    /// Where the end is reported.
    pub webhook: Option<String>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
}

/// A report of an ended prediction.
#[derive(Debug, Serialize)]
pub struct WebhookDelivery {
    /// When it was answered or given up.
    pub time_ms: u64,
    /// `pred_…`.
    pub id: String,
    /// Where to.
    pub url: String,
    /// The answer's status; `null` if there was none.
    pub status: Option<u16>,
}

/// Why requests were refused.
#[derive(Debug, Default, Serialize)]
pub struct RefusalCounts {
    /// 401.
    pub unauthorized: u64,
    /// 402.
    pub payment: u64,
    /// 429 for too many requests.
    pub rate_limited: u64,
    /// 429 for too many predictions at once.
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
    /// Refusals.
    pub refused: RefusalCounts,
    /// Accepted creates, oldest first.
    pub creates: Vec<RecordedCreate>,
    /// Status reads by `pred_…`.
    pub status_polls: BTreeMap<String, u64>,
    /// Cancel requests by `pred_…`.
    pub cancels: BTreeMap<String, u64>,
    /// Webhook calls.
    pub webhooks: Vec<WebhookDelivery>,
    /// Faults that answered.
    pub faults_fired: u64,
}

impl Recorder {
    /// Keeps a request and gives it its place in the order.
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

    /// Notes what a request was answered with.
    pub fn set_status(&mut self, seq: u64, status: u16) {
        let place = self.requests.binary_search_by_key(&seq, |received| received.seq);
        if let Some(received) = place.ok().and_then(|place| self.requests.get_mut(place)) {
            received.status = Some(status);
        }
    }

    /// `{"requests":[…],"next":seq}`: those after `since`, and what to ask for next.
    pub fn requests_after(&self, since: u64) -> Value {
        let from = self.requests.partition_point(|received| received.seq <= since);
        let requests: Vec<&RecordedRequest> = self.requests.range(from..).collect();
        json!({"requests": requests, "next": self.last_seq})
    }

    /// The counts as of now, as members of `GET /state`.
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

    /// Forgets everything; the order goes on, so that a reader's `since` stays good.
    pub fn clear(&mut self) {
        *self = Self { last_seq: self.last_seq, ..Self::default() };
    }
}
