//! Valid settings, for the targets to mutate.

use serde_json::{Value, json};
use valetkey::token::{Grant, Scope};
use valetkey::types::ids::UserKey;
use valetkey::types::time::UnixSeconds;

/// A vendor key in the vendor's format.
pub const VENDOR_KEY: &str = "sk_live_Zk3_9-Qw7ErT5yUi1OpA2sDf";
/// The secret of an issuer.
pub const SECRET: &str = "fuzz-only-0123456789abcdef0123456789abcdef";

/// Returns a policy with a rule of every kind.
#[must_use]
pub fn policy() -> Value {
    json!({
        "plans": {
            "default": {"requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2,
                        "daily_credits": "50"},
            "pro": {"requests_per_minute": 600, "predictions_per_minute": 100, "concurrent_predictions": 20,
                    "daily_credits": "500.25", "models": ["acme/model-x", "acme/model-y"], "weight": 4,
                    "max_waiting": 7, "pool_daily_credits": "5000", "pool_waiting_share": 0.5},
            "guest": {"requests_per_minute": 6, "predictions_per_minute": 1, "concurrent_predictions": 1,
                      "daily_credits": "0", "models": ["*"], "pool_daily_credits": "1", "pool_waiting_share": 0.1},
        },
        "models": {
            "acme/model-x": {"credits": "2.5", "max_image_count": 4, "max_seconds": 900, "input": {
                "prompt": {"type": "string", "required": true, "max_length": 10},
                "seed": {"type": "integer", "min": 0, "max": 9},
                "strength": {"type": "number", "min": 0, "max": 1, "default": 0.5},
                "fast": {"type": "boolean"},
                "shape": {"type": "string", "enum": ["1:1", "16:9"]},
                "image": {"type": "string", "format": "https-url"},
                "mask": {"type": "string", "format": "file"},
                "tags": {"type": "array", "items": {"type": "string", "max_length": 3}, "max_items": 2},
                "layers": {"type": "array", "items": {"type": "string", "format": "file"}, "max_items": 3},
                "sizes": {"type": "array", "items": {"type": "integer", "enum": [1, 2]}, "max_items": 2},
            }},
            "acme/model-y": {"credits": "1000000", "input": {}},
        },
        "key": {"requests_per_minute": 60, "concurrent_predictions": 5, "daily_credits": "10000",
                "expected_other_requests_per_minute": 10, "queue": {"max_waiting": 100, "max_wait_secs": 60}},
    })
}

/// Returns a grant of a user of the plan `default`, with all scopes and models.
#[must_use]
pub fn grant() -> Grant {
    Grant {
        user: UserKey::new("https://idp.example", "u1"),
        is_own: false,
        plan: None,
        scopes: Scope::ALL.to_vec(),
        models: None,
        jti: None,
        caps: None,
        issued_at: UnixSeconds(0),
        expires_at: UnixSeconds(300),
    }
}
