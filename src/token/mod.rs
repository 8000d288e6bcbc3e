//! Tokens: which user a request comes from, and what that user may do.
//!
//! - [`verify()`] turns the text of a token into a [`Grant`] or a [`Refusal`]. Its documentation lists the steps.
//! - [`parse_issuers`] turns the variable `ISSUERS` into the [`Issuer`]s whose tokens are accepted.
//! - [`TokenCache`] remembers verified tokens.
//!
//! `jwt-simple` provides the cryptography. Every rule about the form of a token is implemented here: a general library
//! has to accept whatever some issuer sends.
//!
//! | file | what it knows |
//! |---|---|
//! | `verify` | the steps of verification and their order |
//! | `compact` | the compact form: three segments of canonical base64url |
//! | `header`, `token_types`, `key_id` | allowed header members; allowed values of `typ`; the form of a `kid` |
//! | `claims`, `subject`, `restrictions` | times, audience and subject; allowed characters of names; the claim `vk` |
//! | `grant`, `refusal` | the two outcomes |
//! | `algorithm`, `signature` | the allowed algorithms; the only function that verifies a signature |
//! | `jwk`, `key_set`, `thumbprint` | reading keys and key sets; identifying a key without showing it |
//! | `proof`, `token_hash` | DPoP proofs of possession (RFC 9449); the hash by which a proof names its token |
//! | `signing` | Valetkey's own tokens: signing keys, issuer, issuing |
//! | `remote_keys` | when to fetch an issuer's key set, and how long it is used |
//! | `issuer`, `issuers`, `issuer_keys` | an issuer; parsing `ISSUERS`; parsing where its keys come from |
//! | `setting_reader` | reading an object of the configuration and collecting all its problems |
//! | `cache` | verified tokens |

mod algorithm;
mod cache;
mod claims;
mod compact;
mod grant;
mod header;
mod issuer;
mod issuer_keys;
mod issuers;
mod jwk;
mod key_id;
mod key_set;
mod proof;
mod refusal;
mod remote_keys;
mod restrictions;
mod setting_reader;
mod signature;
mod signing;
mod subject;
#[cfg(test)]
mod testing;
mod thumbprint;
mod token_hash;
mod token_types;
mod verify;

pub use algorithm::{Algorithm, KeyFamily};
pub use cache::TokenCache;
pub use grant::{Grant, Scope, TokenCaps};
pub use issuer::{AdminRight, AudienceClaim, GUEST_ISSUER, Issuer, ProofRule, Purpose, loopback_problems};
pub use issuer_keys::SecretSource;
pub use issuers::{ISSUER_MEMBERS, parse_issuers};
pub use jwk::{Key, KeyProblem};
pub use key_set::{KeySet, KeySetProblem};
pub use proof::{BadProof, PROOF_ALGORITHMS, Proof, ProofTarget};
pub use refusal::Refusal;
pub use remote_keys::{FetchDecision, RemoteKeys};
pub use signature::{BadSignature, VerifyingKey, verify_signature};
pub use signing::{NewToken, SigningKeys};
pub use subject::is_plain_text;
pub use thumbprint::{JwkThumbprint, KeyThumbprint};
pub use verify::{Possession, SignedToken, VerifiedToken, find_remote_keys, verify, verify_signed};
