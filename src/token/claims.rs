//! The claims of a token, checked by the rules of contract 5 after the signature was verified.

use serde_json::{Map, Value};

use super::grant::Grant;
use super::issuer::{AudienceClaim, Issuer};
use super::refusal::Refusal;
use super::restrictions::Restrictions;
use super::subject::is_plain_text;
use super::thumbprint::JwkThumbprint;
use crate::constants::{
    TOKEN_AUDIENCES_MAX, TOKEN_CLIENT_ID_MAX_CHARS, TOKEN_EMAIL_MAX_CHARS, TOKEN_ID_MAX_CHARS, TOKEN_MAX_DEPTH,
    TOKEN_PLAN_MAX_BYTES, TOKEN_SUBJECT_MAX_CHARS,
};
use crate::parse::json::parse_strict_object;
use crate::types::ids::UserKey;
use crate::types::time::UnixSeconds;

/// Parsed claims that are not trusted yet.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// The times of a token, with the leeway of its issuer. A cached token's times are checked at each use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenTimes {
    issued_at: i64,
    not_before: Option<i64>,
    pub expires_at: i64,
    leeway_secs: i64,
}

impl TokenTimes {
    /// Checks that the token is valid at `now`.
    pub fn check(&self, now: UnixSeconds) -> Result<(), Refusal> {
        let latest = now.0.saturating_add(self.leeway_secs);
        if now.0 >= self.expires_at.saturating_add(self.leeway_secs) {
            Err(Refusal::Expired)
        } else if self.issued_at > latest {
            Err(Refusal::IssuedInFuture)
        } else if self.not_before.is_some_and(|not_before| not_before > latest) {
            Err(Refusal::NotYetValid)
        } else {
            Ok(())
        }
    }
}

/// Claims that passed every check.
#[derive(Debug)]
pub(super) struct CheckedClaims {
    pub grant: Grant,
    pub times: TokenTimes,
    pub subject: String,
    /// `email`, if the issuer vouches for it.
    pub email: Option<String>,
    /// The client that the token was issued to, or its audience.
    pub client_id: String,
    /// The key that the token is bound to. The token must not be accepted without a proof of possession of this key.
    pub binding: Option<JwkThumbprint>,
}

impl Claims {
    /// Parses the claims' JSON text.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        parse_strict_object(text, TOKEN_MAX_DEPTH).map(Self).map_err(|_| Refusal::BadClaims)
    }

    /// Returns `iss`. Before the signature is verified, it may only be used to select the issuer whose key is tried.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.get_str("iss")
    }

    /// Checks the claims against the settings of `issuer`, and returns what the token grants.
    pub fn check(&self, issuer: &Issuer, now: UnixSeconds) -> Result<CheckedClaims, Refusal> {
        let times = self.read_times(issuer)?;
        times.check(now)?;
        let audience = self.check_audience(issuer)?;
        let client_id = self.client_id().unwrap_or(audience).to_owned();
        let binding = self.0.get("cnf").map(read_binding).transpose()?;
        let subject = self.get_str("sub").filter(|text| is_plain_text(text, TOKEN_SUBJECT_MAX_CHARS));
        let subject = subject.ok_or(Refusal::BadSubject)?;
        let jti = match self.get("jti") {
            None => None,
            Some(Value::String(jti)) if is_plain_text(jti, TOKEN_ID_MAX_CHARS) => Some(jti.clone()),
            Some(_) => return Err(Refusal::BadTokenId),
        };
        let restrictions = Restrictions::parse(self.0.get("vk"), jti.as_deref())?;
        let origin = match &issuer.origins {
            // Only Valetkey's own tokens may name another issuer's users: ignore `vk.iss` here.
            None => issuer.name.as_str(),
            Some(origins) => {
                let named = restrictions.origin.as_ref().filter(|origin| origins.contains(origin));
                named.ok_or(Refusal::UnknownOrigin)?
            }
        };
        let grant = Grant {
            user: UserKey::new(origin, subject),
            is_own: issuer.is_own(),
            plan: self.get_str(&issuer.plan_claim).filter(|plan| plan.len() <= TOKEN_PLAN_MAX_BYTES).map(str::to_owned),
            scopes: restrictions.scopes,
            models: restrictions.models,
            jti,
            caps: restrictions.caps,
            issued_at: UnixSeconds(times.issued_at),
            expires_at: UnixSeconds(times.expires_at),
        };
        let email = self.email(issuer).map(str::to_owned);
        Ok(CheckedClaims { grant, times, subject: subject.to_owned(), email, client_id, binding })
    }

    /// Returns `email` if the issuer vouches for it. An unverified address is only text that the user typed (OpenID
    /// Connect Core section 5.1), and an attacker could type an operator's address.
    ///
    /// Apple sends `email_verified` as text. The issuer's setting `email_trusted` replaces only an absent claim. An
    /// issuer that sends `false` does not vouch, whatever the setting.
    fn email(&self, issuer: &Issuer) -> Option<&str> {
        let is_vouched_for = match self.get("email_verified") {
            None => issuer.email_trusted,
            Some(verified) => verified == true || verified == "true",
        };
        // The audit log has it as the operator's name.
        self.get_str("email").filter(|email| is_vouched_for && is_plain_text(email, TOKEN_EMAIL_MAX_CHARS))
    }

    /// Returns the client that the issuer names: `client_id` (RFC 8693 section 4.3), else `azp` (OpenID Connect Core
    /// section 2).
    fn client_id(&self) -> Option<&str> {
        let mut named = ["client_id", "azp"].into_iter().filter_map(|name| self.get_str(name));
        named.find(|text| is_plain_text(text, TOKEN_CLIENT_ID_MAX_CHARS))
    }

    /// Returns an optional claim. `null` counts as absent, because serializers write it for a member without a value.
    /// Claims that restrict a token (`cnf`, `vk`) are read directly from the map instead, where `null` is an error.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn get_str(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Reads a `NumericDate`, which must be an integer. A fraction, an exponent or a string is refused: parsers differ
    /// in how they round.
    fn read_time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |value: &Value| value.as_i64().filter(|seconds| *seconds >= 0).ok_or(Refusal::BadTime);
        self.get(name).map(read).transpose()
    }

    fn read_times(&self, issuer: &Issuer) -> Result<TokenTimes, Refusal> {
        let issued_at = self.read_time("iat")?.ok_or(Refusal::BadTime)?;
        let expires_at = self.read_time("exp")?.ok_or(Refusal::BadTime)?;
        let lifetime = expires_at.checked_sub(issued_at).ok_or(Refusal::BadTime)?;
        if lifetime <= 0 || lifetime > issuer.max_lifetime_secs {
            return Err(Refusal::BadLifetime);
        }
        Ok(TokenTimes { issued_at, not_before: self.read_time("nbf")?, expires_at, leeway_secs: issuer.leeway_secs })
    }

    /// Checks the audience, and returns the accepted name. `aud` is a string or an array of strings (RFC 7519 section
    /// 4.1.3). For an issuer that sets no `aud`, the configured claim is checked instead; if its token has an `aud`
    /// nevertheless, that must be right as well.
    fn check_audience<'a>(&'a self, issuer: &Issuer) -> Result<&'a str, Refusal> {
        let is_ours = |name: &&str| issuer.audience.iter().any(|own| own == name);
        let ours = |value: &'a Value| value.as_str().filter(is_ours);
        let aud = self.get("aud").map(|value| match value {
            Value::Array(names) if names.len() > TOKEN_AUDIENCES_MAX || !names.iter().all(Value::is_string) => None,
            Value::Array(names) => names.iter().find_map(ours),
            name => ours(name),
        });
        let stand_in = match issuer.audience_claim {
            AudienceClaim::Aud => aud.flatten(),
            AudienceClaim::Azp => self.get("azp").and_then(ours),
            AudienceClaim::ClientId => self.get("client_id").and_then(ours),
        };
        stand_in.filter(|_| aud != Some(None)).ok_or(Refusal::WrongAudience)
    }
}

/// Reads `cnf` (RFC 7800): the thumbprint of a key, and nothing else. An unknown kind of binding is refused: ignoring
/// it would turn a bound token into a bearer token.
fn read_binding(value: &Value) -> Result<JwkThumbprint, Refusal> {
    let only = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("jkt"));
    only.and_then(Value::as_str).and_then(JwkThumbprint::parse).ok_or(Refusal::BadBinding)
}
