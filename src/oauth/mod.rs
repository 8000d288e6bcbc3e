//! The token endpoint without its I/O: exchanging an identity provider's token or a Turnstile token for one of
//! Valetkey's own (RFC 8693), and the errors of the endpoint.
//!
//! | file | what it knows |
//! |---|---|
//! | `form` | parsing `application/x-www-form-urlencoded`, each parameter at most once |
//! | `token_request` | the parameters of a token request and of a revocation |
//! | `issue` | the new token: never more rights than the subject token has |
//! | `client_network` | by what guests are counted before they have an identity |
//! | `turnstile` | checking guests with Cloudflare Turnstile |
//! | `metadata` | the server metadata (RFC 8414) |
//! | `oauth_error` | the errors of RFC 6749 and its relatives |

mod client_network;
mod form;
mod issue;
mod metadata;
mod oauth_error;
mod token_request;
mod turnstile;

pub use client_network::client_network;
pub use form::{Form, is_form};
pub use issue::{IssuedToken, issue_for_subject, issue_to_new_guest};
pub use metadata::server_metadata;
pub use oauth_error::{OAuthError, OAuthRefusal};
pub use token_request::{ACCESS_TOKEN_TYPE, RequestedRestrictions, SubjectToken, TokenRequest, parse_revocation};
pub use turnstile::{GUEST_ACTION, TURNSTILE_SECRET_REFUSED, Turnstile, check_siteverify_response, siteverify_form};
