//! The capability in a webhook's URL (protocol 4):
//! base64url(`job_id` ‖ HMAC-SHA256(HKDF(vendor key, "hook"), `job_id`)[..16]).
//!
//! The vendor documents no signature of its webhooks (vendor-api 6), so the URL is the secret. Only a holder of the
//! vendor key can make it, and it reveals nothing about the key. All it grants is to bring one poll forward.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};

use crate::types::ids::JobId;
use crate::types::secret::VendorKey;

const TAG_BYTES: usize = 16;

/// Returns the capability of a prediction's webhook.
#[must_use]
pub fn capability(job_id: &JobId, key: &VendorKey) -> String {
    let mut bytes = job_id.as_str().as_bytes().to_vec();
    bytes.extend_from_slice(&compute_tag(job_id, key));
    // Encoding fails only if the length overflows.
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

/// Returns the prediction of a capability that was made with one of `keys`. Tags are compared in constant time.
#[must_use]
pub fn check_capability<'a>(text: &str, keys: impl IntoIterator<Item = &'a VendorKey>) -> Option<JobId> {
    let bytes = Base64UrlSafeNoPadding::decode_to_vec(text, None).ok()?;
    let (job_id, given_tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
    let job_id = JobId::parse(std::str::from_utf8(job_id).ok()?)?;
    keys.into_iter().any(|key| ct_codecs::verify(&compute_tag(&job_id, key), given_tag)).then_some(job_id)
}

fn compute_tag(job_id: &JobId, key: &VendorKey) -> [u8; TAG_BYTES] {
    let mut hook_key = [0; 32];
    hmac_sha256::HKDF::expand(&mut hook_key, hmac_sha256::HKDF::extract([], key.expose()), "hook");
    let mac = hmac_sha256::HMAC::mac(job_id.as_str(), hook_key);
    let mut tag = [0; TAG_BYTES];
    tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(end: char) -> VendorKey {
        VendorKey::try_new(&format!("sk_live_test_0123456789abcde{end}")).unwrap()
    }

    fn job_id() -> JobId {
        JobId::parse("pred_01jh0000000000000000000000").unwrap()
    }

    #[test]
    fn a_capability_names_its_prediction_under_either_key() {
        let capability = capability(&job_id(), &key('a'));
        assert_eq!(capability.len(), 63);
        assert_eq!(check_capability(&capability, [&key('b'), &key('a')]), Some(job_id()));
        assert_eq!(check_capability(&capability, [&key('b')]), None);
    }

    #[test]
    fn nothing_but_the_exact_capability_is_one() {
        let good = capability(&job_id(), &key('a'));
        let accepted = |text: &str| check_capability(text, [&key('a')]).is_some();
        for index in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert!(!accepted(std::str::from_utf8(&bytes).unwrap()), "{index}");
        }
        for bad in [String::new(), good[..62].to_owned(), format!("{good}A"), format!("{good}="), format!("{good}AAAA")]
        {
            assert!(!accepted(&bad), "{bad}");
        }
    }
}
