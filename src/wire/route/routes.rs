//! Every route, grouped by how it authenticates its caller.

use crate::token::{AdminRight, Scope};
use crate::types::ids::{BatchId, FileId, JobId, UserKey};
use crate::types::model::ModelId;

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Needs no token.
    Public(PublicRoute),
    /// Authenticates by what its form carries (OAuth).
    TokenEndpoint(TokenRoute),
    /// Needs an operator's token.
    Admin(AdminRoute),
    /// Needs a user's token with the scope of [`UserRoute::scope`].
    User(UserRoute),
}

/// A route that needs no token.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum PublicRoute {
    /// `GET /healthz`.
    #[strum(serialize = "health")]
    Health,
    /// `GET /readyz`.
    #[strum(serialize = "ready")]
    Ready,
    /// The demo page or one of its files; holds the asset's path.
    #[strum(serialize = "demo")]
    Demo(&'static str),
    /// `GET /demo/settings.json`.
    #[strum(serialize = "demo.settings")]
    DemoSettings,
    /// The operator's page or one of its files; holds the asset's path.
    #[strum(serialize = "admin.page")]
    AdminPage(&'static str),
    /// `GET /openapi.json`.
    #[strum(serialize = "openapi")]
    OpenApi,
    /// `GET /.well-known/jwks.json`.
    #[strum(serialize = "well_known.jwks")]
    KeySet,
    /// `GET /.well-known/oauth-authorization-server`.
    #[strum(serialize = "well_known.oauth")]
    ServerMetadata,
    /// `POST /hooks/{capability}`. The capability is not verified yet.
    #[strum(serialize = "hook")]
    Hook(String),
}

/// A route of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum TokenRoute {
    /// `POST /auth/token`.
    #[strum(serialize = "auth.token")]
    Issue,
    /// `POST /auth/revoke`.
    #[strum(serialize = "auth.revoke")]
    Revoke,
}

/// A route of the operator's API.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum AdminRoute {
    /// `GET /admin/api/audit`.
    #[strum(serialize = "admin.audit")]
    Audit,
    /// `POST /admin/api/pause`.
    #[strum(serialize = "admin.pause")]
    Pause,
    /// `POST /admin/api/jobs/{id}/release`.
    #[strum(serialize = "admin.release")]
    Release(JobId),
    /// `POST /admin/api/resume`.
    #[strum(serialize = "admin.resume")]
    Resume,
    /// `GET /admin/api/spend`.
    #[strum(serialize = "admin.spend")]
    Spend,
    /// `GET /admin/api/refusals`.
    #[strum(serialize = "admin.refusals")]
    Refusals,
    /// `POST /admin/api/users/lookup`.
    #[strum(serialize = "admin.users.lookup")]
    LookUpUser,
    /// `GET /admin/api/users/{user}`.
    #[strum(serialize = "admin.users.export")]
    ExportUser(UserKey),
    /// `PUT /admin/api/users/{user}/override`.
    #[strum(serialize = "admin.users.set_limits")]
    SetLimits(UserKey),
    /// `DELETE /admin/api/users/{user}/override`.
    #[strum(serialize = "admin.users.remove_limits")]
    RemoveLimits(UserKey),
    /// `POST /admin/api/users/{user}/cancel`.
    #[strum(serialize = "admin.users.cancel")]
    CancelUser(UserKey),
    /// `DELETE /admin/api/users/{user}`.
    #[strum(serialize = "admin.users.delete")]
    DeleteUser(UserKey),
    /// `POST /admin/api/revocations`.
    #[strum(serialize = "admin.revocations")]
    Revocations,
    /// `GET /admin/api/state`.
    #[strum(serialize = "admin.state")]
    State,
}

/// A route that needs a user's token.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum UserRoute {
    /// `POST /v1/{owner}/{model}/predictions` and its alias.
    #[strum(serialize = "predictions.create")]
    Create(ModelId),
    /// `GET /v1/predictions/{id}` and its alias.
    #[strum(serialize = "predictions.get")]
    Get(JobId),
    /// `GET /v1/predictions`.
    #[strum(serialize = "predictions.list")]
    List,
    /// `GET /v1/predictions/{id}/events`.
    #[strum(serialize = "predictions.events")]
    Events(JobId),
    /// `GET /v1/predictions/{id}/stream`.
    #[strum(serialize = "predictions.stream")]
    Stream(JobId),
    /// `POST /v1/predictions/{id}/cancel`, or its alias `POST /v1/cancel/{id}`.
    #[strum(serialize = "predictions.cancel")]
    Cancel(JobId),
    /// `DELETE /v1/predictions/{id}`.
    #[strum(serialize = "predictions.delete")]
    Delete(JobId),
    /// `POST /v1/predictions/batch`.
    #[strum(serialize = "batch.create")]
    CreateBatch,
    /// `GET /v1/predictions/batch/{id}`.
    #[strum(serialize = "batch.get")]
    Batch(BatchId),
    /// `POST /v1/estimate`.
    #[strum(serialize = "estimate")]
    Estimate,
    /// `POST /v1/files`.
    #[strum(serialize = "files.upload")]
    Upload,
    /// `GET /v1/files`.
    #[strum(serialize = "files.list")]
    Files,
    /// `GET /v1/files/{id}`.
    #[strum(serialize = "files.get")]
    File(FileId),
    /// `DELETE /v1/files/{id}`.
    #[strum(serialize = "files.delete")]
    DeleteFile(FileId),
    /// `GET /v1/models`.
    #[strum(serialize = "models.list")]
    Models,
    /// `GET /v1/models/{owner}/{model}`.
    #[strum(serialize = "models.get")]
    Model(ModelId),
    /// `GET /v1/account` and the paths below it.
    #[strum(serialize = "account")]
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

impl Route {
    /// Returns the route's name for the log: a word from a closed set, never a part of the path.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Public(route) => route.into(),
            Self::TokenEndpoint(route) => route.into(),
            Self::Admin(route) => route.into(),
            Self::User(route) => route.into(),
        }
    }
}

impl AdminRoute {
    /// Returns the right that the operator must have.
    #[must_use]
    pub const fn right(&self) -> AdminRight {
        match self {
            Self::Audit | Self::State | Self::Spend | Self::Refusals | Self::LookUpUser | Self::ExportUser(_) => {
                AdminRight::Read
            }
            Self::Pause
            | Self::Release(_)
            | Self::Resume
            | Self::Revocations
            | Self::SetLimits(_)
            | Self::RemoveLimits(_)
            | Self::CancelUser(_)
            | Self::DeleteUser(_) => AdminRight::Write,
        }
    }
}

impl UserRoute {
    /// Returns the scope that the caller's token must carry.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Create(_) | Self::CreateBatch => Scope::Create,
            Self::Get(_)
            | Self::List
            | Self::Events(_)
            | Self::Stream(_)
            | Self::Batch(_)
            | Self::Estimate
            | Self::Models
            | Self::Model(_)
            | Self::Account(_) => Scope::Read,
            Self::Upload | Self::Files | Self::File(_) | Self::DeleteFile(_) => Scope::Files,
            Self::Cancel(_) | Self::Delete(_) => Scope::Cancel,
        }
    }
}

impl From<PublicRoute> for Route {
    fn from(route: PublicRoute) -> Self {
        Self::Public(route)
    }
}

impl From<TokenRoute> for Route {
    fn from(route: TokenRoute) -> Self {
        Self::TokenEndpoint(route)
    }
}

impl From<AdminRoute> for Route {
    fn from(route: AdminRoute) -> Self {
        Self::Admin(route)
    }
}

impl From<UserRoute> for Route {
    fn from(route: UserRoute) -> Self {
        Self::User(route)
    }
}
