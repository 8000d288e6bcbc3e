//! What is given for a subject token: never more than it grants.

use super::oauth_error::{OAuthError, Refused};
use super::token_request::Wanted;
use crate::constants::TOKEN_MAX_BYTES;
use crate::token::{NewToken, Proof, Scope, SigningKeys, TokenCaps, Verified};
use crate::types::ids::{GuestId, TokenId};
use crate::types::model::ModelId;
use crate::types::secret::Secret;
use crate::types::time::UnixSeconds;

/// Whose users guests are (contract 5): no URL, so that no configured issuer has this name.
pub const GUEST_ISSUER: &str = "guest";
/// The plan of guests, whose pools all of them share.
pub const GUEST_PLAN: &str = "guest";

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// It.
    pub token: Secret,
    /// Whether it is bound to a key.
    pub is_bound: bool,
    /// How long it lives, seconds.
    pub expires_in: i64,
    /// What it may do: words with spaces between them.
    pub scope: String,
}

/// What a token may do and spend.
struct Leave {
    scopes: Vec<Scope>,
    models: Option<Vec<ModelId>>,
    caps: Option<TokenCaps>,
}

/// Makes a token of ours for a provider's.
///
/// - It ends with the subject token, if that is sooner than `lifetime_secs`.
/// - Scope, models and caps are the subject token's, or less where `wanted` says so; more is refused.
/// - A subject token with caps gives its `jti` to the new one, since caps are counted by it: a hundred exchanges spend what
///   one may.
/// - It is bound to the key of `proof`, where there is one; a bound subject token has shown that proof already.
///
/// # Errors
/// [`OAuthError::InvalidScope`] for more scope than the subject token has, [`OAuthError::InvalidRequest`] for more of
/// anything else, or a subject token that ends now.
pub fn issue(
    subject: &Verified,
    wanted: &Wanted,
    proof: Option<&Proof>,
    keys: &SigningKeys,
    lifetime_secs: u32,
    id: &TokenId,
    now: UnixSeconds,
) -> Result<Issued, Refused> {
    let grant = &subject.grant;
    let jti = grant.caps.as_ref().map_or(id.as_str(), |caps| caps.jti.as_str());
    let leave = narrow(&grant.scopes, grant.models.as_deref(), grant.caps.as_ref(), wanted, jti)?;
    let expires_at = UnixSeconds(now.0.saturating_add(i64::from(lifetime_secs)).min(grant.expires_at.0));
    if expires_at <= now {
        return Err(Refused::new(OAuthError::InvalidRequest, "subject_token_ends"));
    }
    let token = NewToken {
        origin: subject.issuer(),
        subject: subject.subject(),
        plan: grant.plan.as_deref(),
        jti,
        issued_at: now,
        expires_at,
        scopes: &leave.scopes,
        models: leave.models.as_deref(),
        caps: leave.caps.as_ref(),
        binding: proof.map(Proof::key),
    };
    make(keys, &token)
}

/// Makes a token for a guest, who is a new user each time.
///
/// # Errors
/// As [`issue`]: a guest has every scope and model of the plan.
pub fn guest(
    guest: &GuestId,
    wanted: &Wanted,
    proof: Option<&Proof>,
    keys: &SigningKeys,
    lifetime_secs: u32,
    id: &TokenId,
    now: UnixSeconds,
) -> Result<Issued, Refused> {
    let leave = narrow(Scope::ALL, None, None, wanted, id.as_str())?;
    let token = NewToken {
        origin: GUEST_ISSUER,
        subject: guest.as_str(),
        plan: Some(GUEST_PLAN),
        jti: id.as_str(),
        issued_at: now,
        expires_at: UnixSeconds(now.0.saturating_add(i64::from(lifetime_secs))),
        scopes: &leave.scopes,
        models: leave.models.as_deref(),
        caps: leave.caps.as_ref(),
        binding: proof.map(Proof::key),
    };
    make(keys, &token)
}

fn make(keys: &SigningKeys, token: &NewToken<'_>) -> Result<Issued, Refused> {
    let text = keys.sign(token);
    // Nobody could use it.
    if text.len() > TOKEN_MAX_BYTES {
        return Err(Refused::new(OAuthError::InvalidRequest, "too_long"));
    }
    let words: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    Ok(Issued {
        token: Secret::new(text),
        is_bound: token.binding.is_some(),
        expires_in: token.expires_at.0.saturating_sub(token.issued_at.0),
        scope: words.join(" "),
    })
}

fn narrow(
    scopes: &[Scope],
    models: Option<&[ModelId]>,
    caps: Option<&TokenCaps>,
    wanted: &Wanted,
    jti: &str,
) -> Result<Leave, Refused> {
    let widens = |reason| Refused::new(OAuthError::InvalidRequest, reason);
    if wanted.scopes.iter().flatten().any(|scope| !scopes.contains(scope)) {
        return Err(Refused::new(OAuthError::InvalidScope, "wider_scope"));
    }
    if let (Some(wanted), Some(models)) = (&wanted.models, models)
        && wanted.iter().any(|model| !models.contains(model))
    {
        return Err(widens("wider_models"));
    }
    let given = caps.map(|caps| (caps.max_predictions, caps.max_credits)).unwrap_or_default();
    let max_predictions = least(wanted.max_predictions, given.0).map_err(|()| widens("wider_predictions"))?;
    let max_credits = least(wanted.max_credits, given.1).map_err(|()| widens("wider_credits"))?;
    let is_capped = max_predictions.is_some() || max_credits.is_some();
    Ok(Leave {
        scopes: wanted.scopes.clone().unwrap_or_else(|| scopes.to_vec()),
        models: wanted.models.clone().or_else(|| models.map(<[_]>::to_vec)),
        caps: is_capped.then(|| TokenCaps { jti: jti.to_owned(), max_predictions, max_credits }),
    })
}

/// What is wanted, if it is not above what is given; else what is given.
fn least<T: Ord + Copy>(wanted: Option<T>, given: Option<T>) -> Result<Option<T>, ()> {
    match (wanted, given) {
        (Some(wanted), Some(given)) if wanted > given => Err(()),
        (wanted, given) => Ok(wanted.or(given)),
    }
}

#[cfg(test)]
#[path = "issue_tests.rs"]
mod tests;
