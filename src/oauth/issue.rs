//! Issues tokens. A new token never has more rights than the subject token it is exchanged for.

use super::oauth_error::{OAuthError, OAuthRefusal};
use super::token_request::RequestedRestrictions;
use crate::constants::TOKEN_MAX_BYTES;
use crate::policy::GUEST_PLAN;
use crate::token::{GUEST_ISSUER, NewToken, Proof, Scope, SigningKeys, TokenCaps, VerifiedToken};
use crate::types::ids::{GuestId, TokenId};
use crate::types::model::ModelId;
use crate::types::secret::Secret;
use crate::types::time::UnixSeconds;

/// A new token, and what the response says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// True if the token is bound to a key (`token_type` is `DPoP`).
    pub is_bound: bool,
    /// The token's lifetime in seconds.
    pub expires_in: i64,
    /// The token's scopes, separated by spaces.
    pub scope: String,
}

/// The restrictions of a new token.
struct Restrictions {
    scopes: Vec<Scope>,
    models: Option<Vec<ModelId>>,
    caps: Option<TokenCaps>,
}

/// Issues one of Valetkey's own tokens in exchange for an identity provider's token.
///
/// - The new token expires after `lifetime_secs`, or with the subject token if that is sooner.
/// - Its scopes, models and caps are those of the subject token, or fewer if `requested` says so. More is refused.
/// - If the subject token has caps, the new token gets the subject token's `jti`. Caps are counted by `jti`, so that a
///   hundred exchanges together may spend as much as one.
/// - It is bound to the key of `proof`, if there is one. The caller has checked that proof against a bound subject
///   token.
///
/// # Errors
/// - [`OAuthError::InvalidScope`]: the subject token does not have all requested scopes.
/// - [`OAuthError::InvalidRequest`]: the request asks for more of anything else than the subject token has, or the
///   subject token expires now.
pub fn issue_for_subject(
    subject: &VerifiedToken,
    requested: &RequestedRestrictions,
    proof: Option<&Proof>,
    keys: &SigningKeys,
    lifetime_secs: u32,
    id: &TokenId,
    now: UnixSeconds,
) -> Result<IssuedToken, OAuthRefusal> {
    let grant = &subject.grant;
    let jti = grant.caps.as_ref().map_or(id.as_str(), |caps| caps.jti.as_str());
    let restrictions = restrict(&grant.scopes, grant.models.as_deref(), grant.caps.as_ref(), requested, jti)?;
    let expires_at = UnixSeconds(now.0.saturating_add(i64::from(lifetime_secs)).min(grant.expires_at.0));
    if expires_at <= now {
        return Err(OAuthRefusal::new(OAuthError::InvalidRequest, "subject_token_ends"));
    }
    let token = NewToken {
        origin: subject.issuer(),
        subject: subject.subject(),
        client_id: subject.client_id(),
        plan: grant.plan.as_deref(),
        jti,
        issued_at: now,
        expires_at,
        scopes: &restrictions.scopes,
        models: restrictions.models.as_deref(),
        caps: restrictions.caps.as_ref(),
        binding: proof.map(Proof::key),
    };
    sign(keys, &token)
}

/// Issues a token to a guest. Each call is for a new user, who has all scopes and all models of the plan.
///
/// # Errors
/// [`OAuthError::InvalidRequest`] if the token would be too long.
pub fn issue_to_new_guest(
    guest: &GuestId,
    requested: &RequestedRestrictions,
    proof: Option<&Proof>,
    keys: &SigningKeys,
    lifetime_secs: u32,
    id: &TokenId,
    now: UnixSeconds,
) -> Result<IssuedToken, OAuthRefusal> {
    let restrictions = restrict(Scope::ALL, None, None, requested, id.as_str())?;
    let token = NewToken {
        origin: GUEST_ISSUER,
        subject: guest.as_str(),
        client_id: GUEST_ISSUER,
        plan: Some(GUEST_PLAN),
        jti: id.as_str(),
        issued_at: now,
        expires_at: UnixSeconds(now.0.saturating_add(i64::from(lifetime_secs))),
        scopes: &restrictions.scopes,
        models: restrictions.models.as_deref(),
        caps: restrictions.caps.as_ref(),
        binding: proof.map(Proof::key),
    };
    sign(keys, &token)
}

fn sign(keys: &SigningKeys, token: &NewToken<'_>) -> Result<IssuedToken, OAuthRefusal> {
    let text = keys.sign(token);
    // Verification would refuse a longer token.
    if text.len() > TOKEN_MAX_BYTES {
        return Err(OAuthRefusal::new(OAuthError::InvalidRequest, "too_long"));
    }
    let words: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    Ok(IssuedToken {
        token: Secret::new(text),
        is_bound: token.binding.is_some(),
        expires_in: token.expires_at.0.saturating_sub(token.issued_at.0),
        scope: words.join(" "),
    })
}

fn restrict(
    scopes: &[Scope],
    models: Option<&[ModelId]>,
    caps: Option<&TokenCaps>,
    requested: &RequestedRestrictions,
    jti: &str,
) -> Result<Restrictions, OAuthRefusal> {
    let widens = |reason| OAuthRefusal::new(OAuthError::InvalidRequest, reason);
    if requested.scopes.iter().flatten().any(|scope| !scopes.contains(scope)) {
        return Err(OAuthRefusal::new(OAuthError::InvalidScope, "wider_scope"));
    }
    if let (Some(requested), Some(models)) = (&requested.models, models)
        && requested.iter().any(|model| !models.contains(model))
    {
        return Err(widens("wider_models"));
    }
    let given = caps.map(|caps| (caps.max_predictions, caps.max_credits)).unwrap_or_default();
    let max_predictions = lower_cap(requested.max_predictions, given.0).map_err(|()| widens("wider_predictions"))?;
    let max_credits = lower_cap(requested.max_credits, given.1).map_err(|()| widens("wider_credits"))?;
    let is_capped = max_predictions.is_some() || max_credits.is_some();
    Ok(Restrictions {
        scopes: requested.scopes.clone().unwrap_or_else(|| scopes.to_vec()),
        models: requested.models.clone().or_else(|| models.map(<[_]>::to_vec)),
        caps: is_capped.then(|| TokenCaps { jti: jti.to_owned(), max_predictions, max_credits }),
    })
}

/// Returns the requested cap, or the given one if none is requested. Fails if the requested cap is higher than the
/// given one.
fn lower_cap<T: Ord + Copy>(requested: Option<T>, given: Option<T>) -> Result<Option<T>, ()> {
    match (requested, given) {
        (Some(requested), Some(given)) if requested > given => Err(()),
        (requested, given) => Ok(requested.or(given)),
    }
}

#[cfg(test)]
#[path = "issue_tests.rs"]
mod tests;
