//! The claims of a token whose signature was verified, by the rules of contract 5.

use serde_json::{Map, Value};

use super::grant::Grant;
use super::issuer::{AudienceClaim, Issuer};
use super::refusal::Refusal;
use super::restrictions::Restrictions;
use super::subject::is_plain_text;
use super::thumbprint::JwkThumbprint;
use crate::constants::{
    TOKEN_AUDIENCES_MAX, TOKEN_ID_MAX_CHARS, TOKEN_MAX_DEPTH, TOKEN_PLAN_MAX_BYTES, TOKEN_SUBJECT_MAX_CHARS,
};
use crate::parse::json::parse_strict_object;
use crate::types::ids::UserKey;
use crate::types::time::UnixSeconds;

/// Claims that were read and not yet believed.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// The times of a token, with the leeway of its issuer. They are checked again each time that a cached token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    issued_at: i64,
    not_before: Option<i64>,
    pub expires_at: i64,
    leeway_secs: i64,
}

impl Times {
    /// Whether the token is good at `now`.
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

/// Claims that keep every promise of their issuer.
#[derive(Debug)]
pub(super) struct Checked {
    pub grant: Grant,
    pub times: Times,
    pub subject: String,
    /// `email`, as far as the issuer vouches for it.
    pub email: Option<String>,
    /// The key that the token is bound to: without a proof of it the rest is worth nothing.
    pub binding: Option<JwkThumbprint>,
}

impl Claims {
    /// Reads the claims' JSON text.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        parse_strict_object(text, TOKEN_MAX_DEPTH).map(Self).map_err(|_| Refusal::BadClaims)
    }

    /// What the token says about its issuer: before the signature is verified, it may only select whose key to try.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Checks everything that `issuer` promises, and says what the token grants.
    pub fn check(&self, issuer: &Issuer, now: UnixSeconds) -> Result<Checked, Refusal> {
        let times = self.times(issuer)?;
        times.check(now)?;
        self.check_audience(issuer)?;
        let binding = self.0.get("cnf").map(read_binding).transpose()?;
        let subject = self.text("sub").filter(|text| is_plain_text(text, TOKEN_SUBJECT_MAX_CHARS));
        let subject = subject.ok_or(Refusal::BadSubject)?;
        let jti = match self.0.get("jti") {
            None => None,
            Some(Value::String(jti)) if is_plain_text(jti, TOKEN_ID_MAX_CHARS) => Some(jti.clone()),
            Some(_) => return Err(Refusal::BadTokenId),
        };
        let restrictions = Restrictions::parse(self.0.get("vk"), jti.as_deref())?;
        let origin = match &issuer.origins {
            // The claim is an issuer's word about another's users: only ours is taken.
            None => issuer.name.as_str(),
            Some(origins) => {
                let named = restrictions.origin.as_ref().filter(|origin| origins.contains(origin));
                named.ok_or(Refusal::UnknownOrigin)?
            }
        };
        let grant = Grant {
            user: UserKey::new(origin, subject),
            is_own: issuer.is_own(),
            plan: self.text(&issuer.plan_claim).filter(|plan| plan.len() <= TOKEN_PLAN_MAX_BYTES).map(str::to_owned),
            scopes: restrictions.scopes,
            models: restrictions.models,
            jti,
            caps: restrictions.caps,
            issued_at: UnixSeconds(times.issued_at),
            expires_at: UnixSeconds(times.expires_at),
        };
        Ok(Checked { grant, times, subject: subject.to_owned(), email: self.email(), binding })
    }

    /// OpenID Connect Core section 5.1: an address that says it is not verified is what its holder typed.
    fn email(&self) -> Option<String> {
        let is_vouched_for = self.0.get("email_verified").is_none_or(|verified| verified == true);
        self.text("email").filter(|_| is_vouched_for).map(str::to_owned)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// `NumericDate` as an integer: a fraction, an exponent or a string is refused, because what one parser rounds
    /// another may not.
    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |value: &Value| value.as_i64().filter(|seconds| *seconds >= 0).ok_or(Refusal::BadTime);
        self.0.get(name).map(read).transpose()
    }

    fn times(&self, issuer: &Issuer) -> Result<Times, Refusal> {
        let issued_at = self.time("iat")?.ok_or(Refusal::BadTime)?;
        let expires_at = self.time("exp")?.ok_or(Refusal::BadTime)?;
        let lifetime = expires_at.checked_sub(issued_at).ok_or(Refusal::BadTime)?;
        if lifetime <= 0 || lifetime > issuer.max_lifetime_secs {
            return Err(Refusal::BadLifetime);
        }
        Ok(Times { issued_at, not_before: self.time("nbf")?, expires_at, leeway_secs: issuer.leeway_secs })
    }

    /// RFC 7519 section 4.1.3: `aud` is a string or an array of strings. Where the provider sets none, another
    /// claim stands for it; an `aud` that is there all the same must be right as well.
    fn check_audience(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let ours = |value: &Value| value.as_str().is_some_and(|name| issuer.audience.iter().any(|own| own == name));
        let aud = match self.0.get("aud") {
            None => None,
            Some(Value::Array(names)) => {
                Some(names.len() <= TOKEN_AUDIENCES_MAX && names.iter().all(Value::is_string) && names.iter().any(ours))
            }
            Some(name) => Some(ours(name)),
        };
        let stand_in = match issuer.audience_claim {
            AudienceClaim::Aud => aud,
            AudienceClaim::Azp => self.0.get("azp").map(ours),
            AudienceClaim::ClientId => self.0.get("client_id").map(ours),
        };
        if stand_in == Some(true) && aud != Some(false) { Ok(()) } else { Err(Refusal::WrongAudience) }
    }
}

/// `cnf` (RFC 7800): the thumbprint of a key, and nothing else. A binding that is not understood is no binding to ignore.
fn read_binding(value: &Value) -> Result<JwkThumbprint, Refusal> {
    let only = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("jkt"));
    only.and_then(Value::as_str).and_then(JwkThumbprint::parse).ok_or(Refusal::BadBinding)
}
