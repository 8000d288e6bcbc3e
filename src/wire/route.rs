//! From method and path to what is asked for (contract 1). Nothing is decoded: a path that needs it is no route.

use crate::token::Scope;
use crate::types::ids::{BatchId, FileId, JobId};
use crate::types::model::ModelId;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /healthz`.
    Health,
    /// `GET /readyz`.
    Ready,
    /// The demo page or one of its files; the asset's path.
    Demo(&'static str),
    /// `POST /v1/{owner}/{model}/predictions` and its alias.
    Create(ModelId),
    /// `GET /v1/predictions/{id}` and its alias.
    Get(JobId),
    /// `GET /v1/predictions`.
    List,
    /// `GET /v1/predictions/{id}/events`.
    Events(JobId),
    /// `GET /v1/predictions/{id}/stream`.
    Stream(JobId),
    /// `POST /v1/predictions/batch`.
    CreateBatch,
    /// `GET /v1/predictions/batch/{id}`.
    Batch(BatchId),
    /// `POST /v1/estimate`.
    Estimate,
    /// `POST /v1/files`.
    Upload,
    /// `GET /v1/files`.
    Files,
    /// `GET /v1/files/{id}`.
    File(FileId),
    /// `DELETE /v1/files/{id}`.
    DeleteFile(FileId),
    /// `GET /openapi.json`.
    OpenApi,
    /// `POST /auth/token`.
    Token,
    /// `POST /auth/revoke`.
    Revoke,
    /// `GET /.well-known/jwks.json`.
    KeySet,
    /// `GET /.well-known/oauth-authorization-server`.
    ServerMetadata,
    /// `POST /admin/api/revocations`.
    AdminRevocations,
    /// `POST /hooks/{capability}`; the capability is not checked yet.
    Hook(String),
    /// `POST /v1/predictions/{id}/cancel` and its alias.
    Cancel(JobId),
    /// `DELETE /v1/predictions/{id}`.
    Delete(JobId),
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{owner}/{model}`.
    Model(ModelId),
    /// `GET /v1/account` and what is below it.
    Account(AccountView),
}

/// The four views of the caller's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountView {
    /// `GET /v1/account`.
    Summary,
    /// `GET /v1/account/usage`.
    Usage,
    /// `GET /v1/account/rate-limits`.
    RateLimits,
    /// `GET /v1/account/balance`.
    Balance,
}

/// Every method and path of the API, as docs/openapi.json writes them. The demo's pages are not of it.
pub const OPERATIONS: [(&str, &str); 32] = [
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/openapi.json"),
    ("post", "/v1/{owner}/{model}/predictions"),
    ("post", "/v1/models/{owner}/{model}/predictions"),
    ("get", "/v1/predictions/{job_id}"),
    ("get", "/v1/status/{job_id}"),
    ("get", "/v1/predictions"),
    ("get", "/v1/predictions/{job_id}/events"),
    ("get", "/v1/predictions/{job_id}/stream"),
    ("post", "/v1/predictions/batch"),
    ("get", "/v1/predictions/batch/{batch_id}"),
    ("post", "/v1/estimate"),
    ("post", "/v1/files"),
    ("get", "/v1/files"),
    ("get", "/v1/files/{file_id}"),
    ("delete", "/v1/files/{file_id}"),
    ("post", "/hooks/{capability}"),
    ("post", "/v1/predictions/{job_id}/cancel"),
    ("post", "/v1/cancel/{job_id}"),
    ("delete", "/v1/predictions/{job_id}"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{owner}/{model}"),
    ("get", "/v1/account"),
    ("get", "/v1/account/usage"),
    ("get", "/v1/account/rate-limits"),
    ("get", "/v1/account/balance"),
    ("post", "/auth/token"),
    ("post", "/auth/revoke"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/.well-known/oauth-authorization-server"),
    ("post", "/admin/api/revocations"),
];

/// Why there is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing has this path.
    NotFound,
    /// The path is known with the methods of this `Allow` value.
    Method(&'static str),
    /// `OPTIONS` on a known path, with the methods of this `Allow` value.
    Options(&'static str),
}

/// The most segments of a path.
const SEGMENTS_MAX: usize = 5;

/// What a deployment may have, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The demo: with `DEMO`.
    Demo,
    /// Tokens of our own: with `TOKEN_SIGNING_KEYS`. A token of anybody's can be revoked without.
    OwnTokens,
    /// The operator's pages and API.
    Admin,
}

/// What a path belongs to, whatever the method: where that is off, nothing is there.
#[must_use]
pub fn feature(path: &str) -> Option<Feature> {
    match path {
        "/" => Some(Feature::Demo),
        "/auth/token" => Some(Feature::OwnTokens),
        _ if path.starts_with("/demo/") => Some(Feature::Demo),
        _ if path.starts_with("/.well-known/") => Some(Feature::OwnTokens),
        _ if path.starts_with("/admin/") => Some(Feature::Admin),
        _ => None,
    }
}

/// The demo's files: the one list that the Worker hands out, whatever else lies in the assets.
const DEMO_FILES: [(&str, &str); 5] = [
    ("/", "/demo/index.html"),
    ("/demo/demo.css", "/demo/demo.css"),
    ("/demo/demo.js", "/demo/demo.js"),
    ("/demo/settings.json", "/demo/settings.json"),
    ("/demo/icon.svg", "/demo/icon.svg"),
];

/// A path with the routes of its methods.
struct Resource {
    get: Option<Route>,
    post: Option<Route>,
    delete: Option<Route>,
}

impl Resource {
    const NONE: Self = Self { get: None, post: None, delete: None };

    fn get(route: Route) -> Self {
        Self { get: Some(route), ..Self::NONE }
    }

    fn post(route: Route) -> Self {
        Self { post: Some(route), ..Self::NONE }
    }

    const fn allow(&self) -> &'static str {
        match (self.get.is_some(), self.post.is_some(), self.delete.is_some()) {
            (true, _, true) => "GET, HEAD, DELETE",
            (true, true, false) => "GET, HEAD, POST",
            (true, false, false) => "GET, HEAD",
            (false, _, _) => "POST",
        }
    }
}

impl Route {
    /// Finds the route of a request. `path` is the raw path, without the query.
    ///
    /// # Errors
    /// [`NoRoute`]; `HEAD` follows `GET`, and methods are case-sensitive (RFC 9110 section 9.1).
    pub fn parse(method: &str, path: &str) -> Result<Self, NoRoute> {
        let resource = resource(path).ok_or(NoRoute::NotFound)?;
        let allow = resource.allow();
        match method {
            "GET" | "HEAD" => resource.get.ok_or(NoRoute::Method(allow)),
            "POST" => resource.post.ok_or(NoRoute::Method(allow)),
            "DELETE" => resource.delete.ok_or(NoRoute::Method(allow)),
            "OPTIONS" => Err(NoRoute::Options(allow)),
            _ => Err(NoRoute::Method(allow)),
        }
    }

    /// The scope that the route needs; `None` for those without a user's token.
    #[must_use]
    pub const fn scope(&self) -> Option<Scope> {
        match self {
            Self::Health
            | Self::Ready
            | Self::Demo(_)
            | Self::Hook(_)
            | Self::OpenApi
            | Self::Token
            | Self::Revoke
            | Self::KeySet
            | Self::ServerMetadata
            | Self::AdminRevocations => None,
            Self::Create(_) | Self::CreateBatch => Some(Scope::Create),
            Self::Get(_)
            | Self::List
            | Self::Events(_)
            | Self::Stream(_)
            | Self::Batch(_)
            | Self::Estimate
            | Self::Models
            | Self::Model(_)
            | Self::Account(_) => Some(Scope::Read),
            Self::Upload | Self::Files | Self::File(_) | Self::DeleteFile(_) => Some(Scope::Files),
            Self::Cancel(_) | Self::Delete(_) => Some(Scope::Cancel),
        }
    }

    /// The route's name in the log: a closed set, never a part of the path.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Demo(_) => "demo",
            Self::Create(_) => "predictions.create",
            Self::Get(_) => "predictions.get",
            Self::List => "predictions.list",
            Self::Events(_) => "predictions.events",
            Self::Stream(_) => "predictions.stream",
            Self::CreateBatch => "batch.create",
            Self::Batch(_) => "batch.get",
            Self::Estimate => "estimate",
            Self::Upload => "files.upload",
            Self::Files => "files.list",
            Self::File(_) => "files.get",
            Self::DeleteFile(_) => "files.delete",
            Self::Hook(_) => "hook",
            Self::OpenApi => "openapi",
            Self::Token => "auth.token",
            Self::Revoke => "auth.revoke",
            Self::KeySet => "well_known.jwks",
            Self::ServerMetadata => "well_known.oauth",
            Self::AdminRevocations => "admin.revocations",
            Self::Cancel(_) => "predictions.cancel",
            Self::Delete(_) => "predictions.delete",
            Self::Models => "models.list",
            Self::Model(_) => "models.get",
            Self::Account(_) => "account",
        }
    }
}

fn resource(path: &str) -> Option<Resource> {
    if let Some((_, asset)) = DEMO_FILES.iter().find(|(public, _)| *public == path) {
        return Some(Resource::get(Route::Demo(asset)));
    }
    let mut segments = [""; SEGMENTS_MAX];
    let mut count = 0;
    for (index, segment) in path.strip_prefix('/')?.split('/').enumerate() {
        *segments.get_mut(index)? = segment;
        count = index.saturating_add(1);
    }
    let segments = segments.get(..count)?;
    // The vendor's routes for keys and webhooks: nobody's, and no owner's name either.
    if let ["v1", "api-keys" | "webhooks", ..] = segments {
        return None;
    }
    find(segments)
}

/// A segment as [`PATHS`] writes it.
macro_rules! segment {
    ($word:literal) => {
        $word
    };
    ($variable:ident) => {
        concat!("{", stringify!($variable), "}")
    };
}

/// The search for a path's resource and [`PATHS`] from the same lines: no path is found that is not listed.
macro_rules! paths {
    ($($([$($segment:tt),+])|+ $(if $guard:expr)? => $resource:expr,)+) => {
        /// Every path of the API, as docs/openapi.json writes it. A test takes [`OPERATIONS`] from here.
        pub const PATHS: &[&str] = &[$($(concat!($("/", segment!($segment)),+),)+)+];

        fn find(segments: &[&str]) -> Option<Resource> {
            match segments {
                $($([$($segment),+])|+ $(if $guard)? => Some($resource),)+
                _ => None,
            }
        }
    };
}

paths! {
    ["healthz"] => Resource::get(Route::Health),
    ["readyz"] => Resource::get(Route::Ready),
    ["openapi.json"] => Resource::get(Route::OpenApi),
    ["hooks", capability] if !capability.is_empty() => Resource::post(Route::Hook((*capability).to_owned())),
    ["auth", "token"] => Resource::post(Route::Token),
    ["auth", "revoke"] => Resource::post(Route::Revoke),
    [".well-known", "jwks.json"] => Resource::get(Route::KeySet),
    [".well-known", "oauth-authorization-server"] => Resource::get(Route::ServerMetadata),
    ["admin", "api", "revocations"] => Resource::post(Route::AdminRevocations),
    ["v1", "predictions"] => Resource::get(Route::List),
    ["v1", "predictions", "batch"] => Resource::post(Route::CreateBatch),
    ["v1", "predictions", "batch", batch_id] => Resource::get(Route::Batch(BatchId::parse(batch_id)?)),
    ["v1", "predictions", job_id, "events"] => Resource::get(Route::Events(JobId::parse(job_id)?)),
    ["v1", "predictions", job_id, "stream"] => Resource::get(Route::Stream(JobId::parse(job_id)?)),
    ["v1", "estimate"] => Resource::post(Route::Estimate),
    ["v1", "files"] => Resource { get: Some(Route::Files), post: Some(Route::Upload), ..Resource::NONE },
    ["v1", "files", file_id] => {
        let id = FileId::parse(file_id)?;
        Resource { get: Some(Route::File(id.clone())), delete: Some(Route::DeleteFile(id)), ..Resource::NONE }
    },
    ["v1", "predictions", job_id] => {
        let id = JobId::parse(job_id)?;
        Resource { get: Some(Route::Get(id.clone())), delete: Some(Route::Delete(id)), ..Resource::NONE }
    },
    ["v1", "predictions", job_id, "cancel"] | ["v1", "cancel", job_id] => {
        Resource::post(Route::Cancel(JobId::parse(job_id)?))
    },
    ["v1", "status", job_id] => Resource::get(Route::Get(JobId::parse(job_id)?)),
    ["v1", "models"] => Resource::get(Route::Models),
    ["v1", "models", owner, model] => Resource::get(Route::Model(ModelId::try_new(owner, model)?)),
    ["v1", "account"] => Resource::get(Route::Account(AccountView::Summary)),
    ["v1", "account", "usage"] => Resource::get(Route::Account(AccountView::Usage)),
    ["v1", "account", "rate-limits"] => Resource::get(Route::Account(AccountView::RateLimits)),
    ["v1", "account", "balance"] => Resource::get(Route::Account(AccountView::Balance)),
    ["v1", "models", owner, model, "predictions"] | ["v1", owner, model, "predictions"] => {
        Resource::post(Route::Create(ModelId::try_new(owner, model)?))
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "pred_01jh0000000000000000000000";
    const BATCH: &str = "batch_01jh0000000000000000000000";
    const FILE: &str = "file_01jh0000000000000000000000";

    fn id() -> JobId {
        JobId::parse(ID).unwrap()
    }

    fn model() -> ModelId {
        ModelId::parse("acme/model-x").unwrap()
    }

    #[test]
    fn every_route_and_alias_is_found() {
        let cases = [
            ("GET", "/healthz".to_owned(), Route::Health),
            ("GET", "/readyz".to_owned(), Route::Ready),
            ("GET", "/".to_owned(), Route::Demo("/demo/index.html")),
            ("POST", "/v1/acme/model-x/predictions".to_owned(), Route::Create(model())),
            ("POST", "/v1/models/acme/model-x/predictions".to_owned(), Route::Create(model())),
            ("GET", format!("/v1/predictions/{ID}"), Route::Get(id())),
            ("HEAD", format!("/v1/predictions/{ID}"), Route::Get(id())),
            ("GET", format!("/v1/status/{ID}"), Route::Get(id())),
            ("DELETE", format!("/v1/predictions/{ID}"), Route::Delete(id())),
            ("POST", format!("/v1/predictions/{ID}/cancel"), Route::Cancel(id())),
            ("POST", format!("/v1/cancel/{ID}"), Route::Cancel(id())),
            ("GET", format!("/v1/predictions/{ID}/events"), Route::Events(id())),
            ("GET", format!("/v1/predictions/{ID}/stream"), Route::Stream(id())),
            ("POST", "/v1/predictions/batch".to_owned(), Route::CreateBatch),
            ("GET", format!("/v1/predictions/batch/{BATCH}"), Route::Batch(BatchId::parse(BATCH).unwrap())),
            ("POST", "/v1/estimate".to_owned(), Route::Estimate),
            ("POST", "/v1/files".to_owned(), Route::Upload),
            ("GET", "/v1/files".to_owned(), Route::Files),
            ("GET", format!("/v1/files/{FILE}"), Route::File(FileId::parse(FILE).unwrap())),
            ("DELETE", format!("/v1/files/{FILE}"), Route::DeleteFile(FileId::parse(FILE).unwrap())),
            ("POST", "/hooks/abc".to_owned(), Route::Hook("abc".to_owned())),
            ("GET", "/openapi.json".to_owned(), Route::OpenApi),
            ("POST", "/auth/token".to_owned(), Route::Token),
            ("POST", "/auth/revoke".to_owned(), Route::Revoke),
            ("GET", "/.well-known/jwks.json".to_owned(), Route::KeySet),
            ("GET", "/.well-known/oauth-authorization-server".to_owned(), Route::ServerMetadata),
            ("POST", "/admin/api/revocations".to_owned(), Route::AdminRevocations),
            ("GET", "/v1/predictions".to_owned(), Route::List),
            ("GET", "/v1/models".to_owned(), Route::Models),
            ("GET", "/v1/models/acme/model-x".to_owned(), Route::Model(model())),
            ("GET", "/v1/account".to_owned(), Route::Account(AccountView::Summary)),
            ("GET", "/v1/account/usage".to_owned(), Route::Account(AccountView::Usage)),
            ("GET", "/v1/account/rate-limits".to_owned(), Route::Account(AccountView::RateLimits)),
            ("GET", "/v1/account/balance".to_owned(), Route::Account(AccountView::Balance)),
        ];
        for (method, path, route) in cases {
            assert_eq!(Route::parse(method, &path), Ok(route), "{method} {path}");
        }
    }

    /// Where a route is in [`OPERATIONS`]: a new one does not compile until it is here.
    fn operations(route: &Route) -> &'static [(&'static str, &'static str)] {
        match route {
            Route::Demo(_) => &[],
            Route::Health => &[("get", "/healthz")],
            Route::Ready => &[("get", "/readyz")],
            Route::OpenApi => &[("get", "/openapi.json")],
            Route::Create(_) => {
                &[("post", "/v1/{owner}/{model}/predictions"), ("post", "/v1/models/{owner}/{model}/predictions")]
            }
            Route::Get(_) => &[("get", "/v1/predictions/{job_id}"), ("get", "/v1/status/{job_id}")],
            Route::List => &[("get", "/v1/predictions")],
            Route::Events(_) => &[("get", "/v1/predictions/{job_id}/events")],
            Route::Stream(_) => &[("get", "/v1/predictions/{job_id}/stream")],
            Route::CreateBatch => &[("post", "/v1/predictions/batch")],
            Route::Batch(_) => &[("get", "/v1/predictions/batch/{batch_id}")],
            Route::Estimate => &[("post", "/v1/estimate")],
            Route::Upload => &[("post", "/v1/files")],
            Route::Files => &[("get", "/v1/files")],
            Route::File(_) => &[("get", "/v1/files/{file_id}")],
            Route::DeleteFile(_) => &[("delete", "/v1/files/{file_id}")],
            Route::Hook(_) => &[("post", "/hooks/{capability}")],
            Route::Cancel(_) => &[("post", "/v1/predictions/{job_id}/cancel"), ("post", "/v1/cancel/{job_id}")],
            Route::Delete(_) => &[("delete", "/v1/predictions/{job_id}")],
            Route::Models => &[("get", "/v1/models")],
            Route::Model(_) => &[("get", "/v1/models/{owner}/{model}")],
            Route::Account(AccountView::Summary) => &[("get", "/v1/account")],
            Route::Account(AccountView::Usage) => &[("get", "/v1/account/usage")],
            Route::Account(AccountView::RateLimits) => &[("get", "/v1/account/rate-limits")],
            Route::Account(AccountView::Balance) => &[("get", "/v1/account/balance")],
            Route::Token => &[("post", "/auth/token")],
            Route::Revoke => &[("post", "/auth/revoke")],
            Route::KeySet => &[("get", "/.well-known/jwks.json")],
            Route::ServerMetadata => &[("get", "/.well-known/oauth-authorization-server")],
            Route::AdminRevocations => &[("post", "/admin/api/revocations")],
        }
    }

    /// A path of a template.
    fn path_of(template: &str) -> String {
        let values = [
            ("{owner}", "acme"),
            ("{model}", "model-x"),
            ("{job_id}", ID),
            ("{batch_id}", BATCH),
            ("{file_id}", FILE),
            ("{capability}", "abc"),
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
        assert_eq!(most, Some(SEGMENTS_MAX));
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
    }
}
