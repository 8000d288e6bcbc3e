//! The table of paths: which routes a path has, by method.
//!
//! Segments are compared byte for byte and never percent-decoded, so a path that would have to be decoded has no route.

use crate::types::ids::{BatchId, FileId, JobId, UserKey};
use crate::types::model::ModelId;
use crate::wire::route::routes::{AccountView, AdminRoute, PublicRoute, Route, TokenRoute, UserRoute};

/// The most segments that a path of the API has. A test compares it with [`PATHS`].
pub(super) const MAX_SEGMENTS: usize = 5;

/// The demo's files: public path and asset path. The Worker serves no other asset, whatever the folder holds.
const DEMO_FILES: [(&str, &str); 4] = [
    ("/", "/demo/index.html"),
    ("/demo/demo.css", "/demo/demo.css"),
    ("/demo/demo.js", "/demo/demo.js"),
    ("/demo/icon.svg", "/demo/icon.svg"),
];

/// The files of the operator's page. They hold no data, so they need no token.
const ADMIN_FILES: [(&str, &str); 5] = [
    ("/admin", "/admin/index.html"),
    ("/admin/", "/admin/index.html"),
    ("/admin/admin.css", "/admin/admin.css"),
    ("/admin/admin.js", "/admin/admin.js"),
    ("/admin/icon.svg", "/demo/icon.svg"),
];

/// The document with the demo page's settings. It depends on the deployment, so it is not an asset.
const DEMO_SETTINGS: &str = "/demo/settings.json";

/// The routes of one path, by method.
pub(super) struct Resource {
    pub(super) get: Option<Route>,
    pub(super) post: Option<Route>,
    pub(super) put: Option<Route>,
    pub(super) delete: Option<Route>,
}

impl Resource {
    const NONE: Self = Self { get: None, post: None, put: None, delete: None };

    fn get(route: impl Into<Route>) -> Self {
        Self { get: Some(route.into()), ..Self::NONE }
    }

    fn post(route: impl Into<Route>) -> Self {
        Self { post: Some(route.into()), ..Self::NONE }
    }

    fn put(route: impl Into<Route>) -> Self {
        Self { put: Some(route.into()), ..Self::NONE }
    }

    fn and_post(self, route: impl Into<Route>) -> Self {
        Self { post: Some(route.into()), ..self }
    }

    fn and_delete(self, route: impl Into<Route>) -> Self {
        Self { delete: Some(route.into()), ..self }
    }

    /// Returns the value of the `Allow` header.
    pub(super) const fn allow(&self) -> &'static str {
        if self.put.is_some() {
            return "PUT, DELETE";
        }
        match (self.get.is_some(), self.post.is_some(), self.delete.is_some()) {
            (true, _, true) => "GET, HEAD, DELETE",
            (true, true, false) => "GET, HEAD, POST",
            (true, false, false) => "GET, HEAD",
            (false, _, _) => "POST",
        }
    }
}

/// Returns the routes of a raw path, or `None` if nothing is there.
pub(super) fn find_resource(path: &str) -> Option<Resource> {
    if let Some((_, asset)) = DEMO_FILES.iter().find(|(public, _)| *public == path) {
        return Some(Resource::get(PublicRoute::Demo(asset)));
    }
    if let Some((_, asset)) = ADMIN_FILES.iter().find(|(public, _)| *public == path) {
        return Some(Resource::get(PublicRoute::AdminPage(asset)));
    }
    if path == DEMO_SETTINGS {
        return Some(Resource::get(PublicRoute::DemoSettings));
    }
    let mut segments = [""; MAX_SEGMENTS];
    let mut count = 0;
    for (index, segment) in path.strip_prefix('/')?.split('/').enumerate() {
        *segments.get_mut(index)? = segment;
        count = index.saturating_add(1);
    }
    let segments = segments.get(..count)?;
    // The vendor's routes for API keys and webhooks. They must not match `/v1/{owner}/{model}/predictions` either.
    if let ["v1", "api-keys" | "webhooks", ..] = segments {
        return None;
    }
    find(segments)
}

/// Writes a segment as [`PATHS`] shows it: a literal as it is, a variable in braces.
macro_rules! segment {
    ($word:literal) => {
        $word
    };
    ($variable:ident) => {
        concat!("{", stringify!($variable), "}")
    };
}

/// Generates `find` and [`PATHS`] from the same lines, so that every path that is found is also listed.
macro_rules! paths {
    ($($([$($segment:tt),+])|+ $(if $guard:expr)? => $resource:expr,)+) => {
        /// Every path of the API, as docs/openapi.json writes it. A test compares [`super::OPERATIONS`] with it.
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
    ["healthz"] => Resource::get(PublicRoute::Health),
    ["readyz"] => Resource::get(PublicRoute::Ready),
    ["openapi.json"] => Resource::get(PublicRoute::OpenApi),
    ["hooks", capability] if !capability.is_empty() => Resource::post(PublicRoute::Hook((*capability).to_owned())),
    ["auth", "token"] => Resource::post(TokenRoute::Issue),
    ["auth", "revoke"] => Resource::post(TokenRoute::Revoke),
    [".well-known", "jwks.json"] => Resource::get(PublicRoute::KeySet),
    [".well-known", "oauth-authorization-server"] => Resource::get(PublicRoute::ServerMetadata),
    ["admin", "api", "audit"] => Resource::get(AdminRoute::Audit),
    ["admin", "api", "jobs", job_id, "release"] => Resource::post(AdminRoute::Release(JobId::parse(job_id)?)),
    ["admin", "api", "pause"] => Resource::post(AdminRoute::Pause),
    ["admin", "api", "resume"] => Resource::post(AdminRoute::Resume),
    ["admin", "api", "state"] => Resource::get(AdminRoute::State),
    ["admin", "api", "spend"] => Resource::get(AdminRoute::Spend),
    ["admin", "api", "refusals"] => Resource::get(AdminRoute::Refusals),
    ["admin", "api", "users", "lookup"] => Resource::post(AdminRoute::LookUpUser),
    ["admin", "api", "users", user] => {
        let user = UserKey::parse(user)?;
        Resource::get(AdminRoute::ExportUser(user.clone())).and_delete(AdminRoute::DeleteUser(user))
    },
    ["admin", "api", "users", user, "override"] => {
        let user = UserKey::parse(user)?;
        Resource::put(AdminRoute::SetLimits(user.clone())).and_delete(AdminRoute::RemoveLimits(user))
    },
    ["admin", "api", "users", user, "cancel"] => Resource::post(AdminRoute::CancelUser(UserKey::parse(user)?)),
    ["admin", "api", "revocations"] => Resource::post(AdminRoute::Revocations),
    ["v1", "predictions"] => Resource::get(UserRoute::List),
    ["v1", "predictions", "batch"] => Resource::post(UserRoute::CreateBatch),
    ["v1", "predictions", "batch", batch_id] => Resource::get(UserRoute::Batch(BatchId::parse(batch_id)?)),
    ["v1", "predictions", job_id, "events"] => Resource::get(UserRoute::Events(JobId::parse(job_id)?)),
    ["v1", "predictions", job_id, "stream"] => Resource::get(UserRoute::Stream(JobId::parse(job_id)?)),
    ["v1", "estimate"] => Resource::post(UserRoute::Estimate),
    ["v1", "files"] => Resource::get(UserRoute::Files).and_post(UserRoute::Upload),
    ["v1", "files", file_id] => {
        let id = FileId::parse(file_id)?;
        Resource::get(UserRoute::File(id.clone())).and_delete(UserRoute::DeleteFile(id))
    },
    ["v1", "predictions", job_id] => {
        let id = JobId::parse(job_id)?;
        Resource::get(UserRoute::Get(id.clone())).and_delete(UserRoute::Delete(id))
    },
    ["v1", "predictions", job_id, "cancel"] | ["v1", "cancel", job_id] => {
        Resource::post(UserRoute::Cancel(JobId::parse(job_id)?))
    },
    ["v1", "status", job_id] => Resource::get(UserRoute::Get(JobId::parse(job_id)?)),
    ["v1", "models"] => Resource::get(UserRoute::Models),
    ["v1", "models", owner, model] => Resource::get(UserRoute::Model(ModelId::try_new(owner, model)?)),
    ["v1", "account"] => Resource::get(UserRoute::Account(AccountView::Summary)),
    ["v1", "account", "usage"] => Resource::get(UserRoute::Account(AccountView::Usage)),
    ["v1", "account", "rate-limits"] => Resource::get(UserRoute::Account(AccountView::RateLimits)),
    ["v1", "account", "balance"] => Resource::get(UserRoute::Account(AccountView::Balance)),
    ["v1", "models", owner, model, "predictions"] | ["v1", owner, model, "predictions"] => {
        Resource::post(UserRoute::Create(ModelId::try_new(owner, model)?))
    },
}
