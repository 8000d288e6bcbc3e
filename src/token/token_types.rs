//! The values of `typ` that an issuer's tokens may have.

/// The values of `typ` that are accepted from an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenTypes {
    /// Media types in lower case, without `application/`.
    names: Vec<String>,
    /// Whether a header without `typ` is accepted.
    absent: bool,
}

impl TokenTypes {
    /// Creates the types from the setting `token_types`, in which `absent` stands for a header without `typ`.
    pub fn new(list: &[String]) -> Self {
        let absent = list.iter().any(|name| name == "absent");
        Self { names: list.iter().filter(|name| *name != "absent").map(|name| media_type(name)).collect(), absent }
    }

    /// Returns whether a header without `typ` is accepted.
    pub const fn may_be_absent(&self) -> bool {
        self.absent
    }

    /// Returns whether `typ` is one of the types.
    pub fn contains(&self, typ: &str) -> bool {
        let typ = media_type(typ);
        self.names.contains(&typ)
    }
}

/// Normalizes a media type. Case is ignored, and `application/` may be left out (RFC 7515 section 4.1.9).
fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("application/").filter(|rest| !rest.contains('/')).map_or(lower.clone(), str::to_owned)
}
