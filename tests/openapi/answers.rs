//! What each route can answer, by the code: groups of refusals that the steps of contract 1 share, and what a route has
//! of its own. docs/openapi.json must say the same.

use std::collections::BTreeSet;

use valetkey::auth::OAuthError;
use valetkey::rejection::Code;
use valetkey::route::{Feature, Route, feature};

/// A status, with the error's code where there is one.
pub type Answer = (u16, Option<&'static str>);

/// A step that routes share.
#[derive(Clone, Copy)]
enum Group {
    /// Nothing without a good token.
    Token,
    /// The request is counted by the caller's Ledger, or its proof of possession is used there.
    Ledger,
    /// A body in JSON.
    Json,
    /// A body that is bounded, and read by nobody.
    UnusedBody,
    /// Parameters of a query.
    Query,
    /// A model that the plan may not have.
    ChosenModel,
    /// Something of the caller's, or a name, that may not be there.
    Found,
    /// An idempotency key, and what a create reserves.
    Reservation,
    /// The edge itself sends the vendor a request.
    Vendor,
    /// Text that others wrote is shown: the last check for the vendor's key may withhold it.
    Text,
    /// A form of RFC 6749.
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
                // Of a repeated key whose predictions were deleted.
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

/// What a route has beside its groups.
struct Own {
    successes: &'static [u16],
    groups: &'static [Group],
    codes: &'static [Code],
    errors: &'static [OAuthError],
}

const fn own(successes: &'static [u16], groups: &'static [Group]) -> Own {
    Own { successes, groups, codes: &[], errors: &[] }
}

/// Exhaustive: a new route does not compile until its answers are here.
fn own_of(route: &Route) -> Own {
    use Group::{ChosenModel, Form, Found, Json, Ledger, Query, Reservation, Text, Token, UnusedBody, Vendor};
    match route {
        // Not of the API.
        Route::Demo(_) => own(&[], &[]),
        Route::Health | Route::OpenApi => own(&[200], &[]),
        Route::Ready => own(&[200, 503], &[]),
        Route::KeySet | Route::ServerMetadata => own(&[200], &[Text]),
        Route::Hook(_) => own(&[204], &[Found]),
        Route::Create(_) => own(&[201, 202], &[Ledger, Json, ChosenModel, Reservation, Vendor, Text]),
        Route::CreateBatch => own(&[202], &[Ledger, Json, ChosenModel, Reservation, Text]),
        Route::Estimate => own(&[200], &[Ledger, Json, ChosenModel, Text]),
        Route::Get(_) | Route::Batch(_) | Route::File(_) | Route::Model(_) => own(&[200], &[Ledger, Found, Text]),
        Route::Events(_) => own(&[200], &[Ledger, Found]),
        Route::Stream(_) => own(&[200], &[Ledger, Found, Vendor]),
        Route::List | Route::Files => own(&[200], &[Ledger, Query, Text]),
        Route::Models | Route::Account(_) => own(&[200], &[Ledger, Text]),
        Route::Cancel(_) => own(&[200], &[Ledger, Found, UnusedBody, Text]),
        Route::Delete(_) => Own { codes: &[Code::NotEnded], ..own(&[204], &[Ledger, Found]) },
        Route::DeleteFile(_) => own(&[204], &[Ledger, Found, Vendor]),
        Route::Upload => Own {
            codes: &[Code::UnsupportedMediaType, Code::BodyTooLarge, Code::InvalidParameter],
            ..own(&[201], &[Ledger, Vendor, Text])
        },
        Route::Token => Own {
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
        Route::Revoke => Own { errors: &[OAuthError::UnsupportedTokenType], ..own(&[200], &[Form]) },
        // An operator's requests are counted nowhere.
        Route::AdminRevocations => own(&[204], &[Token, Json, Text]),
    }
}

/// Every answer of the route at `path`.
pub fn answers(route: &Route, path: &str) -> BTreeSet<Answer> {
    let own = own_of(route);
    let token = route.scope().map(|_| Group::Token);
    let groups: Vec<Group> = own.groups.iter().copied().chain(token).collect();
    let mut codes: Vec<Code> = groups.iter().flat_map(|group| group.codes()).chain(own.codes).copied().collect();
    // Any page may ask, and none that is not listed is answered.
    codes.push(Code::OriginNotAllowed);
    // Probes answer whatever the settings are.
    codes.extend((!matches!(route, Route::Health | Route::Ready)).then_some(Code::Misconfigured));
    codes.extend((feature(path) == Some(Feature::OwnTokens)).then_some(Code::NotFound));
    let errors = groups.iter().flat_map(|group| group.errors()).chain(own.errors).map(|error| error.wire());
    let refusals = codes.into_iter().map(|code| (code.wire().status, Some(code.wire().code)));
    let successes = own.successes.iter().map(|status| (*status, None));
    successes.chain(refusals).chain(errors.map(|wire| (wire.status, Some(wire.error)))).collect()
}
