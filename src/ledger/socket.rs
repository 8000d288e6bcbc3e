//! A socket, and what happens to it.

use serde::{Deserialize, Serialize};

use crate::constants::SOCKET_MAX_MILLIS;
use crate::messages::{Caller, StreamId};
use crate::types::ids::{JobId, RequestId};
use crate::types::prediction::PredictionRecord;
use crate::types::time::UnixMillis;

/// A socket, as it is attached to the platform's: JSON of at most 16 KB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The response that it serves. A second socket of the same response replaces the first.
    pub stream: StreamId,
    /// The prediction.
    pub job_id: JobId,
    /// The token behind it: what a revocation can name.
    pub caller: Caller,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// The sequence number of the last state that it was told.
    pub sequence: u64,
}

/// Reads the sockets that are open now.
pub type OpenSockets<'a> = &'a dyn Fn() -> Vec<Socket>;

/// A change to a socket, which the shell makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Send the state of its prediction, and attach what it was told.
    Tell(Socket, Box<PredictionRecord>),
    /// Close the socket of this response.
    Close(RequestId, CloseReason),
}

/// Why a Ledger closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The prediction has ended.
    Ended,
    /// The token is revoked.
    Revoked,
    /// The prediction is gone: deleted or withdrawn.
    Gone,
    /// It is older than any response can be.
    Stale,
    /// The response has another socket, or needs none any more.
    Replaced,
}

impl CloseReason {
    /// Returns the code of the close frame, of those for private use (RFC 6455 section 7.4.2). Any other code reaches the
    /// edge only if the socket was lost.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Ended => 4000,
            Self::Revoked => 4401,
            Self::Gone => 4404,
            Self::Stale => 4408,
            Self::Replaced => 4409,
        }
    }
}

impl Socket {
    /// Returns the socket that a caller asks for.
    pub(super) fn new(caller: Caller, stream: StreamId, job_id: JobId, now: UnixMillis) -> Self {
        let caller = Caller { requests_per_minute: None, is_repeat: false, proof: None, ..caller };
        Self { stream, job_id, caller, opened_at: now, sequence: 0 }
    }

    /// Returns whether the socket is older than any response can be.
    pub(super) const fn is_stale(&self, now: UnixMillis) -> bool {
        now.millis_since(self.opened_at) >= SOCKET_MAX_MILLIS
    }

    /// Returns whether the socket serves an event stream.
    pub(super) const fn is_event_stream(&self) -> bool {
        self.stream.vendor.is_none() && !self.stream.is_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::UnixSeconds;
    use serde_json::json;

    #[test]
    fn socket_format_unchanged() {
        let (id, job_id) = (RequestId::new(UnixMillis(0), [0; 10]), JobId::new(UnixMillis(0), [1; 10]));
        let caller = Caller {
            issued_at: UnixSeconds(4),
            jti: Some("j".into()),
            requests_per_minute: Some(60),
            is_repeat: true,
            proof: None,
        };
        let stream = StreamId { id: id.clone(), vendor: None, is_wait: true };
        let socket = Socket { sequence: 3, ..Socket::new(caller, stream, job_id.clone(), UnixMillis(5)) };
        let stored = json!({"stream": {"id": id, "wait": true}, "job_id": job_id, "caller": {"issued_at": 4, "jti": "j"},
            "opened_at": 5, "sequence": 3});
        assert_eq!(serde_json::to_value(&socket).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Socket>(stored).unwrap(), socket);
    }
}
