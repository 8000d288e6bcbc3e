//! The token endpoint: which token of ours somebody gets for another one (RFC 8693), and what is said when nobody does.
//!
//! | file | what it knows |
//! |---|---|
//! | `form` | `application/x-www-form-urlencoded`, each parameter once |
//! | `token_request` | what is asked for |
//! | `issue` | what is given: never more than the subject token grants |
//! | `turnstile` | what Cloudflare says of a guest |
//! | `metadata` | the endpoints, for clients that look them up (RFC 8414) |
//! | `oauth_error` | refusals as RFC 6749 writes them |

mod form;
mod issue;
mod metadata;
mod oauth_error;
mod token_request;
mod turnstile;

pub use form::{Form, is_form};
pub use issue::{GUEST_ISSUER, GUEST_PLAN, Issued, guest, issue};
pub use metadata::metadata;
pub use oauth_error::{OAuthError, Refused};
pub use token_request::{ACCESS_TOKEN_TYPE, SubjectToken, TokenRequest, Wanted, parse_revocation};
pub use turnstile::{GUEST_ACTION, SECRET_REFUSED, Turnstile, check_guest, turnstile_form};
