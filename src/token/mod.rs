//! Tokens: who gets in.
//!
//! [`verify`] turns a token's text into a [`Grant`] or a [`Refusal`]; its documentation lists the steps.
//! [`parse_issuers`] turns the variable `ISSUERS` into the [`Issuer`]s that it asks. [`TokenCache`] remembers what
//! was verified. `jwt-simple` has the cryptography; every rule about the form of a token is here, because a
//! library must accept what some issuer somewhere does.
//!
//! | file | what it knows |
//! |---|---|
//! | `verify` | the steps and their order |
//! | `compact` | three segments of canonical base64url |
//! | `header` | which members, which `typ`, which `kid` |
//! | `claims`, `subject`, `restrictions` | times, audience, subject; names; the claim `vk` |
//! | `grant`, `refusal` | the two outcomes |
//! | `algorithm`, `signature` | the closed list, and the one call that verifies |
//! | `jwk`, `key_set`, `thumbprint` | keys as configuration, secrets and providers hold them |
//! | `proof` | proofs of possession (RFC 9449) |
//! | `signing` | tokens of our own: keys, issuer, minting |
//! | `remote_keys` | when a provider is asked for its keys, and how long they count |
//! | `issuer`, `issuers`, `issuer_keys`, `settings` | an issuer; parsing it and its keys; collecting every problem |
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
mod settings;
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
pub use issuer::{AdminRight, AudienceClaim, Issuer, ProofRule, Purpose, loopback_problems};
pub use issuer_keys::SecretSource;
pub use issuers::parse_issuers;
pub use jwk::{Key, KeyProblem};
pub use key_set::{KeySet, KeySetProblem};
pub use proof::{BadProof, PROOF_ALGORITHMS, Proof, ProofTarget};
pub use refusal::Refusal;
pub use remote_keys::{Need, RemoteKeys};
pub use signature::{BadSignature, VerifyingKey, verify_signature};
pub use signing::{NewToken, SigningKeys};
pub use subject::is_plain_text;
pub use thumbprint::{JwkThumbprint, KeyThumbprint};
pub use verify::{Possession, SignedToken, Verified, remote_keys_of, verify, verify_signed};
