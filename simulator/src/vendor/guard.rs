//! The middleware of every vendor request: checks the key and the rate limit, and writes the rate-limit headers and the
//! error envelope of the response.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::VendorError;
use crate::app::App;
use crate::clock::now_ms;
use crate::rate_window::WindowStatus;
use crate::response::json_response;

/// The account of the request's key: an extension of every request that has an accepted key.
#[derive(Clone, Debug)]
pub struct CallerAccount(pub String);

/// Handles one request:
///
/// 1. Checks the key: 401.
/// 2. Counts the request against the rate limit: 429 with `Retry-After`.
/// 3. Runs the handler.
/// 4. Sets `X-RateLimit-*` on every response to an accepted key, and writes the body of an error.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // 1.
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let account = app.world().accounts.authenticate(authorization).map(str::to_owned);
    let Some(account) = account else {
        app.world().recorder.refused.unauthorized += 1;
        return finish(&app, VendorError::unauthorized().into_response());
    };
    // 2.
    let admission = count_request(&app, &account);
    request.extensions_mut().insert(CallerAccount(account));
    // 3.
    let mut response = match &admission {
        Some((_, Err(window))) => VendorError::rate_limited(retry_after_secs(*window)).into_response(),
        Some((_, Ok(_))) | None => next.run(request).await,
    };
    // 4.
    if let Some((limit, Ok(window) | Err(window))) = admission {
        set_limit_headers(response.headers_mut(), limit, window);
    }
    finish(&app, response)
}

/// Counts a request against the rate limit. Returns `None` if there is no limit; else the limit, and the account's
/// window as `Ok` for an admitted request or as `Err` for a refused one.
fn count_request(app: &App, account: &str) -> Option<(u64, Result<WindowStatus, WindowStatus>)> {
    let mut world = app.world();
    let limit = world.settings.requests_per_minute?;
    let admission = world.accounts.admit_request(account, limit, now_ms());
    world.recorder.refused.rate_limited += u64::from(admission.is_err());
    Some((limit, admission))
}

/// Returns the whole seconds until the next request is admitted, at least one.
fn retry_after_secs(window: WindowStatus) -> u64 {
    window.next_free_ms.saturating_sub(now_ms()).div_ceil(1000).max(1)
}

fn set_limit_headers(headers: &mut HeaderMap, limit: u64, window: WindowStatus) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(window.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(window.next_free_ms.div_ceil(1000)));
}

/// Writes the body of an error, in the envelope of the next error.
fn finish(app: &App, mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<VendorError>() else { return response };
    let envelope = app.world().next_envelope();
    let (mut parts, _) = response.into_parts();
    let written = json_response(&error.body(envelope));
    parts.headers.extend(written.headers().clone());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, written.into_body())
}
