//! The JOSE header: an allow-list of members, because everything else in it was an attack at some time.
//!
//! A header chooses nothing here. `alg` must be the algorithm of a key that the configuration chose, and `kid` is
//! compared with the names of configured keys and used for nothing else: no path, no URL, no query. So its
//! alphabet may be as wide as that of real providers (base64 with `+ / =`, colons).

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::issuer::Issuer;
use super::key_id::is_key_id;
use super::refusal::Refusal;
use crate::constants::{TOKEN_HEADER_MAX_BYTES, TOKEN_MAX_DEPTH};
use crate::parse::json::parse_strict_object;

/// The members that every issuer's tokens may have.
const COMMON_MEMBERS: [&str; 3] = ["alg", "typ", "kid"];

/// Members that change what the other bytes mean. Ignoring one of them is wrong (RFC 7515 section 4.1.11, RFC 7797,
/// RFC 7516), so that no configuration can allow them.
pub(super) const NEVER_ALLOWED_MEMBERS: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// A header that was read and not yet checked against its issuer.
#[derive(Debug)]
pub(super) struct Header {
    members: Map<String, Value>,
    /// What the token says it was signed with.
    pub algorithm: Algorithm,
}

impl Header {
    /// Reads the header's JSON text.
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

    /// The key that the token names.
    pub fn kid(&self) -> Option<&str> {
        self.members.get("kid").and_then(Value::as_str)
    }

    /// Checks the members and `typ` against what `issuer` sends.
    pub fn check(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let known = |name: &str| {
            COMMON_MEMBERS.contains(&name) || issuer.extra_header_members.iter().any(|extra| extra == name)
        };
        if !self.members.keys().all(|name| known(name)) {
            return Err(Refusal::UnexpectedHeaderMember);
        }
        let good = match self.members.get("typ") {
            None => issuer.token_types.allow_absent(),
            Some(Value::String(typ)) => issuer.token_types.contains(typ),
            Some(_) => false,
        };
        if good { Ok(()) } else { Err(Refusal::WrongType) }
    }
}
