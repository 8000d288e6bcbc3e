//! Input: a method and a URL or path.
//!
//! - The parts of a URL, joined, are the URL.
//! - A route rendered again is the path byte for byte, so nothing was decoded or dropped.
//! - `Allow` lists exactly the accepted methods.

#![cfg_attr(fuzzing, no_main)]

use url::Url;
use valetkey::wire::headers::split_url;
use valetkey::wire::route::{AccountView, AdminRoute, NoRoute, PublicRoute, Route, TokenRoute, UserRoute};

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
        Route::Public(PublicRoute::Health) => vec!["/healthz".into()],
        Route::Public(PublicRoute::Ready) => vec!["/readyz".into()],
        Route::Public(PublicRoute::Demo("/demo/index.html")) => vec!["/".into()],
        Route::Public(PublicRoute::Demo(asset)) => vec![(*asset).into()],
        Route::Public(PublicRoute::AdminPage("/admin/index.html")) => vec!["/admin".into(), "/admin/".into()],
        Route::Public(PublicRoute::AdminPage("/demo/icon.svg")) => vec!["/admin/icon.svg".into()],
        Route::Public(PublicRoute::AdminPage(asset)) => vec![(*asset).into()],
        Route::Public(PublicRoute::DemoSettings) => vec!["/demo/settings.json".into()],
        Route::User(UserRoute::Create(model)) => {
            vec![format!("/v1/{model}/predictions"), format!("/v1/models/{model}/predictions")]
        }
        Route::User(UserRoute::Get(id)) => vec![format!("/v1/predictions/{id}"), format!("/v1/status/{id}")],
        Route::Public(PublicRoute::OpenApi) => vec!["/openapi.json".into()],
        Route::TokenEndpoint(TokenRoute::Issue) => vec!["/auth/token".into()],
        Route::TokenEndpoint(TokenRoute::Revoke) => vec!["/auth/revoke".into()],
        Route::Public(PublicRoute::KeySet) => vec!["/.well-known/jwks.json".into()],
        Route::Public(PublicRoute::ServerMetadata) => vec!["/.well-known/oauth-authorization-server".into()],
        Route::Admin(AdminRoute::Audit) => vec!["/admin/api/audit".into()],
        Route::Admin(AdminRoute::State) => vec!["/admin/api/state".into()],
        Route::Admin(AdminRoute::Pause) => vec!["/admin/api/pause".into()],
        Route::Admin(AdminRoute::Resume) => vec!["/admin/api/resume".into()],
        Route::Admin(AdminRoute::Release(job_id)) => vec![format!("/admin/api/jobs/{job_id}/release")],
        Route::Admin(AdminRoute::Spend) => vec!["/admin/api/spend".into()],
        Route::Admin(AdminRoute::Refusals) => vec!["/admin/api/refusals".into()],
        Route::Admin(AdminRoute::LookUpUser) => vec!["/admin/api/users/lookup".into()],
        Route::Admin(AdminRoute::ExportUser(user) | AdminRoute::DeleteUser(user)) => {
            vec![format!("/admin/api/users/{}", user.as_str())]
        }
        Route::Admin(AdminRoute::SetLimits(user) | AdminRoute::RemoveLimits(user)) => {
            vec![format!("/admin/api/users/{}/override", user.as_str())]
        }
        Route::Admin(AdminRoute::CancelUser(user)) => vec![format!("/admin/api/users/{}/cancel", user.as_str())],
        Route::Admin(AdminRoute::Revocations) => vec!["/admin/api/revocations".into()],
        Route::User(UserRoute::List) => vec!["/v1/predictions".into()],
        Route::User(UserRoute::Events(id)) => vec![format!("/v1/predictions/{id}/events")],
        Route::User(UserRoute::Stream(id)) => vec![format!("/v1/predictions/{id}/stream")],
        Route::User(UserRoute::CreateBatch) => vec!["/v1/predictions/batch".into()],
        Route::User(UserRoute::Batch(id)) => vec![format!("/v1/predictions/batch/{id}")],
        Route::User(UserRoute::Estimate) => vec!["/v1/estimate".into()],
        Route::User(UserRoute::Upload) | Route::User(UserRoute::Files) => vec!["/v1/files".into()],
        Route::User(UserRoute::File(id)) | Route::User(UserRoute::DeleteFile(id)) => vec![format!("/v1/files/{id}")],
        Route::Public(PublicRoute::Hook(capability)) => vec![format!("/hooks/{capability}")],
        Route::User(UserRoute::Cancel(id)) => vec![format!("/v1/predictions/{id}/cancel"), format!("/v1/cancel/{id}")],
        Route::User(UserRoute::Delete(id)) => vec![format!("/v1/predictions/{id}")],
        Route::User(UserRoute::Models) => vec!["/v1/models".into()],
        Route::User(UserRoute::Model(model)) => vec![format!("/v1/models/{model}")],
        Route::User(UserRoute::Account(AccountView::Summary)) => vec!["/v1/account".into()],
        Route::User(UserRoute::Account(AccountView::Usage)) => vec!["/v1/account/usage".into()],
        Route::User(UserRoute::Account(AccountView::RateLimits)) => vec!["/v1/account/rate-limits".into()],
        Route::User(UserRoute::Account(AccountView::Balance)) => vec!["/v1/account/balance".into()],
    }
}
