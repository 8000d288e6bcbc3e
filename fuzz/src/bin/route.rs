//! Input: a method and a URL or path.
//!
//! - The parts of a URL, joined, are the URL.
//! - A route rendered again is the path byte for byte, so nothing was decoded or dropped.
//! - `Allow` lists exactly the accepted methods.

#![cfg_attr(fuzzing, no_main)]

use url::Url;
use valetkey::wire::headers::split_url;
use valetkey::wire::route::{AccountView, NoRoute, Route};

valetkey_fuzz::target!(check);

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT"];

fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (method, target) = text.split_once(' ').unwrap_or(("GET", &text));
    match split_url(target) {
        Some(_) => check_url(method, target),
        None => check_path(method, target),
    }
}

fn check_url(method: &str, text: &str) {
    let parts = split_url(text).unwrap();
    let before_fragment = text.split('#').next().unwrap();
    // A `#` before `://` is not the fragment of an absolute URL.
    if text.find('#').is_none_or(|at| at > text.find("://").unwrap()) {
        let rest = before_fragment.strip_prefix(parts.origin).expect("the URL starts with its origin");
        let is_bare = rest.is_empty() || rest.starts_with('?');
        let path = if is_bare { "" } else { parts.path };
        let question = if rest.contains('?') { "?" } else { "" };
        assert_eq!(rest, format!("{path}{question}{}", parts.query));
    }
    assert!(parts.path.starts_with('/') && !parts.path.contains(['?', '#']), "{:?}", parts.path);
    assert!(parts.origin.contains(parts.host));
    // The platform passes URLs as the WHATWG parser writes them, without credentials. Both parsers must agree on those.
    let parsed = Url::parse(text).ok().filter(|url| url.as_str() == text && url.has_host() && url.password().is_none());
    if let Some(url) = parsed.filter(|url| ["http", "https"].contains(&url.scheme()) && url.username().is_empty()) {
        assert_eq!(Some(parts.host), url.host_str());
        assert_eq!((parts.path, parts.query), (url.path(), url.query().unwrap_or_default()));
        assert_eq!(parts.origin, url.origin().ascii_serialization());
    }
    check_path(method, parts.path);
}

fn check_path(method: &str, path: &str) {
    let results: Vec<_> = METHODS.into_iter().map(|method| Route::parse(method, path)).collect();
    let allow = match Route::parse("OPTIONS", path) {
        Err(NoRoute::Options(allow)) => allow,
        Err(NoRoute::NotFound) => {
            assert!(results.iter().all(|result| *result == Err(NoRoute::NotFound)), "{path}");
            assert_eq!(Route::parse(method, path), Err(NoRoute::NotFound));
            return;
        }
        other => panic!("{path}: {other:?}"),
    };
    let allowed: Vec<&str> = allow.split(", ").collect();
    for (method, result) in METHODS.into_iter().zip(results) {
        match result {
            Ok(route) => {
                assert!(allowed.contains(&method), "{method} {path}");
                assert!(paths(&route).iter().any(|rendered| rendered == path), "{path} is not a path of {route:?}");
                for rendered in paths(&route) {
                    assert_eq!(Route::parse(method, &rendered), Ok(route.clone()));
                }
            }
            Err(NoRoute::Method(listed)) => assert!(listed == allow && !allowed.contains(&method)),
            Err(NoRoute::Options(listed)) => assert!(listed == allow && method == "OPTIONS"),
            Err(NoRoute::NotFound) => panic!("{method} {path} is found with another method"),
        }
    }
    // Methods are compared byte for byte.
    let is_route = Route::parse(method, path).is_ok();
    assert_eq!(is_route, allowed.contains(&method), "{method:?}");
}

/// Returns every path of a route.
fn paths(route: &Route) -> Vec<String> {
    match route {
        Route::Health => vec!["/healthz".into()],
        Route::Ready => vec!["/readyz".into()],
        Route::Demo("/demo/index.html") => vec!["/".into()],
        Route::Demo(asset) => vec![(*asset).into()],
        Route::Create(model) => vec![format!("/v1/{model}/predictions"), format!("/v1/models/{model}/predictions")],
        Route::Get(id) => vec![format!("/v1/predictions/{id}"), format!("/v1/status/{id}")],
        Route::OpenApi => vec!["/openapi.json".into()],
        Route::Token => vec!["/auth/token".into()],
        Route::Revoke => vec!["/auth/revoke".into()],
        Route::KeySet => vec!["/.well-known/jwks.json".into()],
        Route::ServerMetadata => vec!["/.well-known/oauth-authorization-server".into()],
        Route::AdminRevocations => vec!["/admin/api/revocations".into()],
        Route::List => vec!["/v1/predictions".into()],
        Route::Events(id) => vec![format!("/v1/predictions/{id}/events")],
        Route::Stream(id) => vec![format!("/v1/predictions/{id}/stream")],
        Route::CreateBatch => vec!["/v1/predictions/batch".into()],
        Route::Batch(id) => vec![format!("/v1/predictions/batch/{id}")],
        Route::Estimate => vec!["/v1/estimate".into()],
        Route::Upload | Route::Files => vec!["/v1/files".into()],
        Route::File(id) | Route::DeleteFile(id) => vec![format!("/v1/files/{id}")],
        Route::Hook(capability) => vec![format!("/hooks/{capability}")],
        Route::Cancel(id) => vec![format!("/v1/predictions/{id}/cancel"), format!("/v1/cancel/{id}")],
        Route::Delete(id) => vec![format!("/v1/predictions/{id}")],
        Route::Models => vec!["/v1/models".into()],
        Route::Model(model) => vec![format!("/v1/models/{model}")],
        Route::Account(AccountView::Summary) => vec!["/v1/account".into()],
        Route::Account(AccountView::Usage) => vec!["/v1/account/usage".into()],
        Route::Account(AccountView::RateLimits) => vec!["/v1/account/rate-limits".into()],
        Route::Account(AccountView::Balance) => vec!["/v1/account/balance".into()],
    }
}
