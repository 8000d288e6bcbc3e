//! Every response that each route can give, according to the code: the refusals of the steps that routes share
//! (contract 1), and each route's own. docs/openapi.json must list the same.

use std::collections::BTreeSet;

use valetkey::oauth::OAuthError;
use valetkey::wire::rejection::Code;
use valetkey::wire::route::{AdminRoute, Feature, PublicRoute, Route, TokenRoute, UserRoute};

/// The status of a response, and the error code if it is an error.
pub type Answer = (u16, Option<&'static str>);

/// A step that several routes share, with its refusals.
#[derive(Clone, Copy)]
enum Group {
    /// The caller presents an access token.
    Token,
    /// The caller's Ledger counts the request, or consumes its proof of possession.
    Ledger,
    /// The body is JSON.
    Json,
    /// The body is ignored, but limited in size.
    UnusedBody,
    /// The URL may have query parameters.
    Query,
    /// The request names a model, which the plan may not include.
    ChosenModel,
    /// The named resource may not exist or may not be the caller's.
    Found,
    /// A create checks its idempotency key, then reserves credits and a queue position.
    Reservation,
    /// The edge itself sends a request to the vendor.
    Vendor,
    /// The response contains text from others: the final scan for the vendor key may withhold it.
    Text,
    /// The body is a form (RFC 6749 appendix B).
    Form,
}

impl Group {
    fn codes(self) -> &'static [Code] {
        match self {
            Self::Token => &[
                Code::MissingToken,
                Code::InvalidToken,
                Code::InsufficientPermissions,
                Code::UpstreamUnavailable,
                Code::LimiterUnavailable,
            ],
            Self::Ledger => &[Code::RateLimited],
            Self::Json => &[
                Code::UnsupportedMediaType,
                Code::BodyTooLarge,
                Code::InvalidJson,
                Code::InvalidParameter,
                Code::UnsupportedParameter,
            ],
            Self::UnusedBody => &[Code::BodyTooLarge, Code::InvalidJson],
            Self::Query => &[Code::InvalidParameter, Code::UnsupportedParameter],
            Self::ChosenModel => &[Code::ModelNotAllowed],
            Self::Found => &[Code::NotFound],
            Self::Reservation => &[
                Code::InvalidIdempotencyKey,
                Code::IdempotencyInProgress,
                Code::IdempotencyMismatch,
                // The replay of an idempotency key whose predictions were deleted.
                Code::NotFound,
                Code::InsufficientCredits,
                Code::TooManyPredictions,
                Code::QueueFull,
            ],
            Self::Vendor => &[Code::UpstreamRejected, Code::UpstreamError, Code::UpstreamTimeout],
            Self::Text => &[Code::UpstreamError],
            Self::Form => &[],
        }
    }

    fn errors(self) -> &'static [OAuthError] {
        match self {
            Self::Form => {
                &[OAuthError::InvalidRequest, OAuthError::NotAForm, OAuthError::BodyTooLarge, OAuthError::Unavailable]
            }
            _ => &[],
        }
    }
}

/// The responses of a route: statuses of success, shared groups, and its own refusals.
struct Own {
    successes: &'static [u16],
    groups: &'static [Group],
    codes: &'static [Code],
    errors: &'static [OAuthError],
}

const fn own(successes: &'static [u16], groups: &'static [Group]) -> Own {
    Own { successes, groups, codes: &[], errors: &[] }
}

/// Returns the responses of a route. Exhaustive: a new route does not compile until its responses are listed here.
fn own_of(route: &Route) -> Own {
    use Group::{ChosenModel, Form, Found, Json, Ledger, Query, Reservation, Text, Token, UnusedBody, Vendor};
    match route {
        // The demo is not part of the API.
        Route::Public(PublicRoute::Demo(_) | PublicRoute::DemoSettings | PublicRoute::AdminPage(_)) => own(&[], &[]),
        Route::Public(PublicRoute::Health) | Route::Public(PublicRoute::OpenApi) => own(&[200], &[]),
        Route::Public(PublicRoute::Ready) => own(&[200, 503], &[]),
        Route::Public(PublicRoute::KeySet) | Route::Public(PublicRoute::ServerMetadata) => own(&[200], &[Text]),
        Route::Public(PublicRoute::Hook(_)) => own(&[204], &[Found]),
        Route::User(UserRoute::Create(_)) => own(&[201, 202], &[Ledger, Json, ChosenModel, Reservation, Vendor, Text]),
        Route::User(UserRoute::CreateBatch) => own(&[202], &[Ledger, Json, ChosenModel, Reservation, Text]),
        Route::User(UserRoute::Estimate) => own(&[200], &[Ledger, Json, ChosenModel, Text]),
        Route::User(UserRoute::Get(_))
        | Route::User(UserRoute::Batch(_))
        | Route::User(UserRoute::File(_))
        | Route::User(UserRoute::Model(_)) => own(&[200], &[Ledger, Found, Text]),
        Route::User(UserRoute::Events(_)) => own(&[200], &[Ledger, Found]),
        Route::User(UserRoute::Stream(_)) => own(&[200], &[Ledger, Found, Vendor]),
        Route::User(UserRoute::List) | Route::User(UserRoute::Files) => own(&[200], &[Ledger, Query, Text]),
        Route::User(UserRoute::Models) | Route::User(UserRoute::Account(_)) => own(&[200], &[Ledger, Text]),
        Route::User(UserRoute::Cancel(_)) => own(&[200], &[Ledger, Found, UnusedBody, Text]),
        Route::User(UserRoute::Delete(_)) => Own { codes: &[Code::NotEnded], ..own(&[204], &[Ledger, Found]) },
        Route::User(UserRoute::DeleteFile(_)) => own(&[204], &[Ledger, Found, Vendor]),
        Route::User(UserRoute::Upload) => Own {
            codes: &[Code::UnsupportedMediaType, Code::BodyTooLarge, Code::InvalidParameter, Code::FileLimitReached],
            ..own(&[201], &[Ledger, Vendor, Text])
        },
        Route::TokenEndpoint(TokenRoute::Issue) => Own {
            errors: &[
                OAuthError::UnsupportedGrantType,
                OAuthError::InvalidScope,
                OAuthError::InvalidTarget,
                OAuthError::InvalidProof,
                OAuthError::InvalidClient,
                OAuthError::TooManyRequests,
            ],
            ..own(&[200], &[Form, Text])
        },
        Route::TokenEndpoint(TokenRoute::Revoke) => {
            Own { errors: &[OAuthError::UnsupportedTokenType, OAuthError::TooManyRequests], ..own(&[200], &[Form]) }
        }
        // The operator's Ledger counts them, with a limit of their own.
        Route::Admin(AdminRoute::Audit) | Route::Admin(AdminRoute::Spend) | Route::Admin(AdminRoute::Refusals) => {
            own(&[200], &[Token, Ledger, Query, Text])
        }
        Route::Admin(AdminRoute::State) => own(&[200], &[Token, Ledger, Text]),
        Route::Admin(AdminRoute::Pause) => own(&[200], &[Token, Ledger, Json, Text]),
        Route::Admin(AdminRoute::Resume) => own(&[204], &[Token, Ledger, Json, Text]),
        Route::Admin(AdminRoute::Release(_)) => {
            Own { codes: &[Code::NotFound, Code::NotEnded], ..own(&[204], &[Token, Ledger]) }
        }
        Route::Admin(AdminRoute::LookUpUser) => own(&[200], &[Token, Ledger, Json, Text]),
        Route::Admin(AdminRoute::ExportUser(_)) => own(&[200], &[Token, Ledger, Found, Query, Text]),
        Route::Admin(AdminRoute::SetLimits(_)) => own(&[204], &[Token, Ledger, Found, Json, Text]),
        Route::Admin(AdminRoute::RemoveLimits(_))
        | Route::Admin(AdminRoute::CancelUser(_))
        | Route::Admin(AdminRoute::DeleteUser(_)) => own(&[204], &[Token, Ledger, Found, Text]),
        Route::Admin(AdminRoute::Revocations) => own(&[204], &[Token, Ledger, Json, Text]),
    }
}

/// Returns every response of the route at `path`.
pub fn answers(route: &Route, path: &str) -> BTreeSet<Answer> {
    let own = own_of(route);
    let token = matches!(route, Route::User(_)).then_some(Group::Token);
    let groups: Vec<Group> = own.groups.iter().copied().chain(token).collect();
    let mut codes: Vec<Code> = groups.iter().flat_map(|group| group.codes()).chain(own.codes).copied().collect();
    // Any page can send a request; one whose origin is not listed is refused.
    codes.push(Code::OriginNotAllowed);
    // Health checks respond even if the settings are invalid.
    codes.extend(
        (!matches!(route, Route::Public(PublicRoute::Health) | Route::Public(PublicRoute::Ready)))
            .then_some(Code::Misconfigured),
    );
    let may_be_off = matches!(Feature::of_path(path), Some(Feature::OwnTokens | Feature::Admin));
    codes.extend(may_be_off.then_some(Code::NotFound));
    let errors = groups.iter().flat_map(|group| group.errors()).chain(own.errors).map(|error| error.wire());
    let refusals = codes.into_iter().map(|code| (code.wire().status, Some(code.wire().code)));
    let successes = own.successes.iter().map(|status| (*status, None));
    successes.chain(refusals).chain(errors.map(|wire| (wire.status, Some(wire.error)))).collect()
}
