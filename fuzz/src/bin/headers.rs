//! Input: the value of each header that the Worker reads, a decimal number of credits, a webhook's capability, an id.
//!
//! - An accepted value has exactly its documented format.
//! - Rendered again, it is the same text or the same number.

#![cfg_attr(fuzzing, no_main)]

use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::{BatchId, FileId, JobId, RequestId};
use valetkey::types::model::ModelId;
use valetkey::types::secret::VendorKey;
use valetkey::vendor::webhook::{capability, check_capability};
use valetkey::wire::headers::{
    Credentials, is_idempotency_key, is_json_media_type, parse_authorization, parse_client_request_id,
    parse_preferred_wait_secs,
};
use valetkey_fuzz::settings::VENDOR_KEY;

valetkey_fuzz::target!(check);

fn check(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    if let Credentials::Bearer(token) = parse_authorization(Some(text)) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','), "{token:?}");
        let scheme = text.strip_suffix(token).expect("the value ends with the token");
        assert!(scheme.eq_ignore_ascii_case("bearer "), "{scheme:?}");
        let again = format!("Bearer {token}");
        assert_eq!(parse_authorization(Some(&again)), Credentials::Bearer(token));
    }
    if is_idempotency_key(text) {
        assert!((1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert!(!is_idempotency_key(&format!("{text}, {text}")), "two headers are not a key");
    }
    if let Some(id) = parse_client_request_id(text) {
        assert!(id == text && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    }
    if let Some(seconds) = parse_preferred_wait_secs(text) {
        assert!(seconds <= 60);
        assert_eq!(parse_preferred_wait_secs(&format!("wait={seconds}")), Some(seconds));
        assert_eq!(parse_preferred_wait_secs(&format!("respond-async, {text}")), Some(seconds));
    }
    if is_json_media_type(text) {
        let essence = text.split(';').next().unwrap().trim();
        assert!(essence.eq_ignore_ascii_case("application/json") && !text.contains(','), "{text}");
    }
    if let Some(credits) = MicroCredits::parse(text) {
        assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        assert_eq!(MicroCredits::parse(&credits.to_string()), Some(credits));
        assert!(credits.to_string().len() <= text.len().max(1) && credits.micros() <= 1_000_000_000_000_000);
    }
    check_names(text);
}

fn check_names(text: &str) {
    let key = VendorKey::try_new(VENDOR_KEY).unwrap();
    if let Some(job_id) = check_capability(text, [&key]) {
        assert_eq!(capability(&job_id, &key), text, "one prediction has one capability");
    }
    let ids = [
        JobId::parse(text).map(|id| (id.to_string(), id.created_at())),
        BatchId::parse(text).map(|id| (id.to_string(), id.created_at())),
        FileId::parse(text).map(|id| (id.to_string(), id.created_at())),
        RequestId::parse(text).map(|id| (id.to_string(), id.created_at())),
    ];
    assert!(ids.iter().flatten().count() <= 1, "a text is at most one kind of id");
    for (rendered, created_at) in ids.into_iter().flatten() {
        assert_eq!(rendered, text);
        // 48 bits of milliseconds.
        assert!((0..1 << 48).contains(&created_at.0), "{}", created_at.0);
    }
    if let Some(model) = ModelId::parse(text) {
        assert_eq!((model.as_str(), format!("{}/{}", model.owner(), model.name())), (text, text.to_owned()));
        let url = url::Url::parse(&format!("https://api.vendor.example/v1/{model}/predictions")).unwrap();
        assert_eq!(url.path(), format!("/v1/{text}/predictions"), "the model changes the URL");
    }
    if let Ok(other) = VendorKey::try_new(text) {
        assert_eq!(other.expose(), text);
        assert!(
            !format!("{other:?}").contains(other.expose_tail()) && !other.fingerprint().contains(other.expose_tail())
        );
    }
}
