//! Notifications: what Valetkey tells a server of the operator by a webhook, signed as Standard Webhooks asks for
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::fmt;

use ct_codecs::{Base64, Decoder, Encoder};

use crate::parse::url::ResourceUrl;
use crate::types::time::UnixSeconds;

const SECRET_PREFIX: &str = "whsec_";
/// The lengths that the specification allows, bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a receiver verifies signatures with: `whsec_` and the base64 of 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Parses a secret.
    ///
    /// # Errors
    /// The problem, without the value.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix(SECRET_PREFIX);
        let bytes = encoded.and_then(|encoded| Base64::decode_to_vec(encoded, None).ok());
        let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
        bytes.map(Self).ok_or("is not whsec_ and the base64 of 24 to 64 random bytes")
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebhookSecret(…)")
    }
}

/// The server that gets notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Where they are sent.
    pub url: ResourceUrl,
    /// The secret that signs them.
    pub secret: WebhookSecret,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same on each try. It contains no period, which separates the signed parts.
    pub id: String,
    /// JSON.
    pub body: String,
}

impl Receiver {
    /// Returns the value of `webhook-signature` for a try at `now`.
    #[must_use]
    pub fn sign(&self, notification: &Notification, now: UnixSeconds) -> String {
        let Notification { id, body } = notification;
        let mac = hmac_sha256::HMAC::mac(format!("{id}.{}.{body}", now.0), &self.secret.0);
        // Encoding fails only if the length overflows.
        format!("v1,{}", Base64::encode_to_string(mac).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the reference libraries.
    #[test]
    fn a_signature_is_that_of_the_reference_libraries() {
        let receiver = Receiver {
            url: ResourceUrl::try_new("https://hooks.example/").unwrap(),
            secret: WebhookSecret::try_new(SECRET).unwrap(),
        };
        let notification =
            Notification { id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(), body: r#"{"test": 2432232314}"#.into() };
        let signature = receiver.sign(&notification, UnixSeconds(1_614_265_330));
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_the_form_of_the_specification_and_is_never_shown() {
        let of = |bytes: usize| format!("whsec_{}", Base64::encode_to_string(vec![7; bytes]).unwrap());
        for good in [SECRET.to_owned(), of(24), of(64)] {
            assert_eq!(format!("{:?}", WebhookSecret::try_new(&good).unwrap()), "WebhookSecret(…)");
        }
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%", &of(23), &of(65)] {
            assert!(WebhookSecret::try_new(bad).is_err(), "{bad}");
        }
    }
}
