//! The JOSE header, checked against an allow-list of members: most other members have been used in attacks.
//!
//! A header selects nothing but a key that the configuration already trusts. `alg` must be the algorithm of that key.
//! `kid` is only compared with the names of the issuer's keys; it never becomes part of a path, a URL or a query. That
//! is why its alphabet may be as wide as identity providers need it (base64 with `+ / =`, colons).

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::issuer::Issuer;
use super::key_id::is_key_id;
use super::refusal::Refusal;
use crate::constants::{TOKEN_HEADER_MAX_BYTES, TOKEN_MAX_DEPTH};
use crate::parse::json::parse_strict_object;

/// Header members that are allowed for every issuer.
const COMMON_MEMBERS: [&str; 3] = ["alg", "typ", "kid"];

/// Members that change the meaning of the token (RFC 7515 section 4.1.11, RFC 7797, RFC 7516). It would be wrong to
/// ignore one of them, so that no configuration can allow them.
pub(super) const NEVER_ALLOWED_MEMBERS: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// A parsed header that is not checked against its issuer yet.
#[derive(Debug)]
pub(super) struct Header {
    members: Map<String, Value>,
    /// `alg`: the algorithm that the token claims to be signed with.
    pub algorithm: Algorithm,
}

impl Header {
    /// Parses the header's JSON text.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.len() > TOKEN_HEADER_MAX_BYTES {
            return Err(Refusal::HeaderTooLong);
        }
        let members = parse_strict_object(text, TOKEN_MAX_DEPTH).map_err(|_| Refusal::BadHeader)?;
        let algorithm = members.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let algorithm = algorithm.ok_or(Refusal::UnknownAlgorithm)?;
        if members.get("kid").is_some_and(|kid| !kid.as_str().is_some_and(is_key_id)) {
            return Err(Refusal::BadKeyId);
        }
        Ok(Self { members, algorithm })
    }

    /// Returns `kid`, the name of the key that the token is signed with.
    pub fn kid(&self) -> Option<&str> {
        self.members.get("kid").and_then(Value::as_str)
    }

    /// Checks the members and `typ` against the settings of `issuer`.
    pub fn check(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let is_known = |name: &str| {
            COMMON_MEMBERS.contains(&name) || issuer.extra_header_members.iter().any(|extra| extra == name)
        };
        if !self.members.keys().all(|name| is_known(name)) {
            return Err(Refusal::UnexpectedHeaderMember);
        }
        let is_allowed = match self.members.get("typ") {
            None => issuer.token_types.may_be_absent(),
            Some(Value::String(typ)) => issuer.token_types.contains(typ),
            Some(_) => false,
        };
        if is_allowed { Ok(()) } else { Err(Refusal::WrongType) }
    }
}
