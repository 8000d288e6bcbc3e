//! Revocation of all tokens up to a time (protocol 7).

use crate::messages::Caller;
use crate::types::time::UnixSeconds;

/// Returns whether the caller's token was issued up to the revoked-before time.
#[must_use]
pub fn is_revoked(caller: &Caller, revoked_before: Option<UnixSeconds>) -> bool {
    revoked_before.is_some_and(|revoked_before| caller.issued_at <= revoked_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_issued_up_to_the_revocation_are_refused() {
        let caller =
            |issued_at| Caller { issued_at: UnixSeconds(issued_at), jti: None, requests_per_minute: None, proof: None };
        assert!(is_revoked(&caller(10), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(11), Some(UnixSeconds(10))));
        assert!(!is_revoked(&caller(1), None));
    }
}
