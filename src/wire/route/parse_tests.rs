use super::*;
use crate::types::ids::{BatchId, FileId, JobId, UserKey};
use crate::types::model::ModelId;
use crate::wire::route::table::MAX_SEGMENTS;
use crate::wire::route::{AccountView, AdminRoute, OPERATIONS, PATHS, PublicRoute, TokenRoute, UserRoute};

const ID: &str = "pred_01jh0000000000000000000000";
const BATCH: &str = "batch_01jh0000000000000000000000";
const FILE: &str = "file_01jh0000000000000000000000";

const USER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn user() -> UserKey {
    UserKey::parse(USER).unwrap()
}

fn id() -> JobId {
    JobId::parse(ID).unwrap()
}

fn model() -> ModelId {
    ModelId::parse("acme/model-x").unwrap()
}

#[test]
fn every_route_and_alias_is_found() {
    let cases = [
        ("GET", "/healthz".to_owned(), PublicRoute::Health.into()),
        ("GET", "/readyz".to_owned(), PublicRoute::Ready.into()),
        ("GET", "/".to_owned(), PublicRoute::Demo("/demo/index.html").into()),
        ("GET", "/demo/settings.json".to_owned(), PublicRoute::DemoSettings.into()),
        ("GET", "/admin".to_owned(), PublicRoute::AdminPage("/admin/index.html").into()),
        ("GET", "/admin/".to_owned(), PublicRoute::AdminPage("/admin/index.html").into()),
        ("GET", "/admin/icon.svg".to_owned(), PublicRoute::AdminPage("/demo/icon.svg").into()),
        ("POST", "/v1/acme/model-x/predictions".to_owned(), UserRoute::Create(model()).into()),
        ("POST", "/v1/models/acme/model-x/predictions".to_owned(), UserRoute::Create(model()).into()),
        ("GET", format!("/v1/predictions/{ID}"), UserRoute::Get(id()).into()),
        ("HEAD", format!("/v1/predictions/{ID}"), UserRoute::Get(id()).into()),
        ("GET", format!("/v1/status/{ID}"), UserRoute::Get(id()).into()),
        ("DELETE", format!("/v1/predictions/{ID}"), UserRoute::Delete(id()).into()),
        ("POST", format!("/v1/predictions/{ID}/cancel"), UserRoute::Cancel(id()).into()),
        ("POST", format!("/v1/cancel/{ID}"), UserRoute::Cancel(id()).into()),
        ("GET", format!("/v1/predictions/{ID}/events"), UserRoute::Events(id()).into()),
        ("GET", format!("/v1/predictions/{ID}/stream"), UserRoute::Stream(id()).into()),
        ("POST", "/v1/predictions/batch".to_owned(), UserRoute::CreateBatch.into()),
        ("GET", format!("/v1/predictions/batch/{BATCH}"), UserRoute::Batch(BatchId::parse(BATCH).unwrap()).into()),
        ("POST", "/v1/estimate".to_owned(), UserRoute::Estimate.into()),
        ("POST", "/v1/files".to_owned(), UserRoute::Upload.into()),
        ("GET", "/v1/files".to_owned(), UserRoute::Files.into()),
        ("GET", format!("/v1/files/{FILE}"), UserRoute::File(FileId::parse(FILE).unwrap()).into()),
        ("DELETE", format!("/v1/files/{FILE}"), UserRoute::DeleteFile(FileId::parse(FILE).unwrap()).into()),
        ("POST", "/hooks/abc".to_owned(), PublicRoute::Hook("abc".to_owned()).into()),
        ("GET", "/openapi.json".to_owned(), PublicRoute::OpenApi.into()),
        ("POST", "/auth/token".to_owned(), TokenRoute::Issue.into()),
        ("POST", "/auth/revoke".to_owned(), TokenRoute::Revoke.into()),
        ("GET", "/.well-known/jwks.json".to_owned(), PublicRoute::KeySet.into()),
        ("GET", "/.well-known/oauth-authorization-server".to_owned(), PublicRoute::ServerMetadata.into()),
        ("GET", "/admin/api/audit".to_owned(), AdminRoute::Audit.into()),
        ("GET", "/admin/api/state".to_owned(), AdminRoute::State.into()),
        ("POST", "/admin/api/pause".to_owned(), AdminRoute::Pause.into()),
        ("POST", "/admin/api/resume".to_owned(), AdminRoute::Resume.into()),
        ("POST", format!("/admin/api/jobs/{}/release", id()), AdminRoute::Release(id()).into()),
        ("GET", "/admin/api/spend".to_owned(), AdminRoute::Spend.into()),
        ("GET", "/admin/api/refusals".to_owned(), AdminRoute::Refusals.into()),
        ("POST", "/admin/api/users/lookup".to_owned(), AdminRoute::LookUpUser.into()),
        ("GET", format!("/admin/api/users/{USER}"), AdminRoute::ExportUser(user()).into()),
        ("DELETE", format!("/admin/api/users/{USER}"), AdminRoute::DeleteUser(user()).into()),
        ("PUT", format!("/admin/api/users/{USER}/override"), AdminRoute::SetLimits(user()).into()),
        ("DELETE", format!("/admin/api/users/{USER}/override"), AdminRoute::RemoveLimits(user()).into()),
        ("POST", format!("/admin/api/users/{USER}/cancel"), AdminRoute::CancelUser(user()).into()),
        ("POST", "/admin/api/revocations".to_owned(), AdminRoute::Revocations.into()),
        ("GET", "/v1/predictions".to_owned(), UserRoute::List.into()),
        ("GET", "/v1/models".to_owned(), UserRoute::Models.into()),
        ("GET", "/v1/models/acme/model-x".to_owned(), UserRoute::Model(model()).into()),
        ("GET", "/v1/account".to_owned(), UserRoute::Account(AccountView::Summary).into()),
        ("GET", "/v1/account/usage".to_owned(), UserRoute::Account(AccountView::Usage).into()),
        ("GET", "/v1/account/rate-limits".to_owned(), UserRoute::Account(AccountView::RateLimits).into()),
        ("GET", "/v1/account/balance".to_owned(), UserRoute::Account(AccountView::Balance).into()),
    ];
    for (method, path, route) in cases {
        assert_eq!(Route::parse(method, &path), Ok(route), "{method} {path}");
    }
}

/// Returns the lines of [`OPERATIONS`] of a route. Exhaustive: a new route does not compile until it is listed here.
fn operations(route: &Route) -> &'static [(&'static str, &'static str)] {
    match route {
        Route::Public(PublicRoute::Demo(_) | PublicRoute::DemoSettings | PublicRoute::AdminPage(_)) => &[],
        Route::Public(PublicRoute::Health) => &[("get", "/healthz")],
        Route::Public(PublicRoute::Ready) => &[("get", "/readyz")],
        Route::Public(PublicRoute::OpenApi) => &[("get", "/openapi.json")],
        Route::User(UserRoute::Create(_)) => {
            &[("post", "/v1/{owner}/{model}/predictions"), ("post", "/v1/models/{owner}/{model}/predictions")]
        }
        Route::User(UserRoute::Get(_)) => &[("get", "/v1/predictions/{job_id}"), ("get", "/v1/status/{job_id}")],
        Route::User(UserRoute::List) => &[("get", "/v1/predictions")],
        Route::User(UserRoute::Events(_)) => &[("get", "/v1/predictions/{job_id}/events")],
        Route::User(UserRoute::Stream(_)) => &[("get", "/v1/predictions/{job_id}/stream")],
        Route::User(UserRoute::CreateBatch) => &[("post", "/v1/predictions/batch")],
        Route::User(UserRoute::Batch(_)) => &[("get", "/v1/predictions/batch/{batch_id}")],
        Route::User(UserRoute::Estimate) => &[("post", "/v1/estimate")],
        Route::User(UserRoute::Upload) => &[("post", "/v1/files")],
        Route::User(UserRoute::Files) => &[("get", "/v1/files")],
        Route::User(UserRoute::File(_)) => &[("get", "/v1/files/{file_id}")],
        Route::User(UserRoute::DeleteFile(_)) => &[("delete", "/v1/files/{file_id}")],
        Route::Public(PublicRoute::Hook(_)) => &[("post", "/hooks/{capability}")],
        Route::User(UserRoute::Cancel(_)) => {
            &[("post", "/v1/predictions/{job_id}/cancel"), ("post", "/v1/cancel/{job_id}")]
        }
        Route::User(UserRoute::Delete(_)) => &[("delete", "/v1/predictions/{job_id}")],
        Route::User(UserRoute::Models) => &[("get", "/v1/models")],
        Route::User(UserRoute::Model(_)) => &[("get", "/v1/models/{owner}/{model}")],
        Route::User(UserRoute::Account(AccountView::Summary)) => &[("get", "/v1/account")],
        Route::User(UserRoute::Account(AccountView::Usage)) => &[("get", "/v1/account/usage")],
        Route::User(UserRoute::Account(AccountView::RateLimits)) => &[("get", "/v1/account/rate-limits")],
        Route::User(UserRoute::Account(AccountView::Balance)) => &[("get", "/v1/account/balance")],
        Route::TokenEndpoint(TokenRoute::Issue) => &[("post", "/auth/token")],
        Route::TokenEndpoint(TokenRoute::Revoke) => &[("post", "/auth/revoke")],
        Route::Public(PublicRoute::KeySet) => &[("get", "/.well-known/jwks.json")],
        Route::Public(PublicRoute::ServerMetadata) => &[("get", "/.well-known/oauth-authorization-server")],
        Route::Admin(AdminRoute::Audit) => &[("get", "/admin/api/audit")],
        Route::Admin(AdminRoute::State) => &[("get", "/admin/api/state")],
        Route::Admin(AdminRoute::Pause) => &[("post", "/admin/api/pause")],
        Route::Admin(AdminRoute::Resume) => &[("post", "/admin/api/resume")],
        Route::Admin(AdminRoute::Release(_)) => &[("post", "/admin/api/jobs/{job_id}/release")],
        Route::Admin(AdminRoute::Spend) => &[("get", "/admin/api/spend")],
        Route::Admin(AdminRoute::Refusals) => &[("get", "/admin/api/refusals")],
        Route::Admin(AdminRoute::LookUpUser) => &[("post", "/admin/api/users/lookup")],
        Route::Admin(AdminRoute::ExportUser(_)) => &[("get", "/admin/api/users/{user}")],
        Route::Admin(AdminRoute::DeleteUser(_)) => &[("delete", "/admin/api/users/{user}")],
        Route::Admin(AdminRoute::SetLimits(_)) => &[("put", "/admin/api/users/{user}/override")],
        Route::Admin(AdminRoute::RemoveLimits(_)) => &[("delete", "/admin/api/users/{user}/override")],
        Route::Admin(AdminRoute::CancelUser(_)) => &[("post", "/admin/api/users/{user}/cancel")],
        Route::Admin(AdminRoute::Revocations) => &[("post", "/admin/api/revocations")],
    }
}

/// Returns a template with example values.
fn path_of(template: &str) -> String {
    let values = [
        ("{owner}", "acme"),
        ("{model}", "model-x"),
        ("{job_id}", ID),
        ("{batch_id}", BATCH),
        ("{file_id}", FILE),
        ("{capability}", "abc"),
        ("{user}", USER),
    ];
    values.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[test]
fn each_operation_leads_to_its_route() {
    let mut seen = std::collections::BTreeSet::<&(&str, &str)>::new();
    for (method, template) in OPERATIONS {
        let route = Route::parse(&method.to_uppercase(), &path_of(template));
        let route = route.unwrap_or_else(|_| panic!("{method} {template}"));
        assert!(operations(&route).contains(&(method, template)), "{method} {template} is {route:?}");
        let is_log_word = route.name().bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
        assert!(is_log_word, "{}", route.name());
        seen.extend(operations(&route));
    }
    assert_eq!(seen.len(), OPERATIONS.len(), "a path of a route is missing");
}

#[test]
fn each_path_and_method_that_is_found_is_an_operation() {
    let mut found = std::collections::BTreeSet::new();
    for template in PATHS {
        let Err(NoRoute::Options(allow)) = Route::parse("OPTIONS", &path_of(template)) else {
            panic!("{template} is not found")
        };
        let methods = allow.split(", ").filter(|method| *method != "HEAD");
        found.extend(methods.map(|method| (method.to_lowercase(), *template)));
    }
    assert_eq!(found, OPERATIONS.map(|(method, template)| (method.to_owned(), template)).into());
}

#[test]
fn no_path_has_more_segments_than_are_looked_at() {
    let most = PATHS.iter().map(|template| template.matches('/').count()).max();
    assert_eq!(most, Some(MAX_SEGMENTS));
}

#[test]
fn other_paths_are_not_found_whatever_the_method() {
    let paths = [
        "",
        "v1",
        "//",
        "/v1",
        "/v1/",
        "/v1/predictions/",
        "/v1/predictions/x",
        "/v1/predictions/pred_..",
        "/v1/api-keys",
        "/v1/api-keys/1/rotate",
        "/v1/api-keys/x/predictions",
        "/v1/webhooks",
        "/v1/webhooks/x",
        "/v1/webhooks/x/predictions",
        "/v1/account/keys",
        "/v1/predictions/batch/x",
        "/v1/predictions/pred_01jh0000000000000000000000/logs",
        "/v1/files/x",
        "/v1/files/file_01jh0000000000000000000000/content",
        "/hooks",
        "/hooks/",
        "/hooks/a/b",
        "/v1/acme/model-x",
        "/v1/acme/model-x/predictions/x",
        "/v1/acme/model-x/predictions/",
        "/v1//acme/model-x/predictions",
        "//evil.example/v1/acme/model-x/predictions",
        "/v1/acme/../predictions",
        "/v1/acme/%2e%2e/predictions",
        "/V1/predictions",
        "/v1/ACME/model-x/predictions",
        "/v1/models/files/x/predictions",
        "/metrics",
        "/auth",
        "/auth/",
        "/auth/token/",
        "/auth/token/x",
        "/.well-known/",
        "/.well-known/openid-configuration",
        "/admin/api",
        "/admin/api/revocations/x",
        "/admin/api/users",
        "/admin/api/users/x",
        "/admin/api/users/x/cancel",
        "/.well-known/../v1/account",
        "/demo/",
        "/demo/../v1/account",
        "/index.html",
        "/v1/predictions;x",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "TRACE"] {
            assert_eq!(Route::parse(method, path), Err(NoRoute::NotFound), "{method} {path}");
        }
    }
}

#[test]
fn a_known_path_says_which_methods_it_takes() {
    for method in ["GET", "DELETE", "PUT", "PATCH", "post", "CONNECT"] {
        assert_eq!(Route::parse(method, "/v1/acme/model-x/predictions"), Err(NoRoute::Method("POST")));
    }
    let path = format!("/v1/predictions/{ID}");
    assert_eq!(Route::parse("POST", &path), Err(NoRoute::Method("GET, HEAD, DELETE")));
    assert_eq!(Route::parse("OPTIONS", &path), Err(NoRoute::Options("GET, HEAD, DELETE")));
    assert_eq!(Route::parse("POST", "/v1/models"), Err(NoRoute::Method("GET, HEAD")));
    assert_eq!(Route::parse("PUT", "/v1/files"), Err(NoRoute::Method("GET, HEAD, POST")));
    assert_eq!(Route::parse("GET", "/hooks/x"), Err(NoRoute::Method("POST")));
    let limits = format!("/admin/api/users/{USER}/override");
    assert_eq!(Route::parse("GET", &limits), Err(NoRoute::Method("PUT, DELETE")));
}
