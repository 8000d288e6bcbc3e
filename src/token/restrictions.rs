//! The claim `vk`: restrictions that make a token's rights smaller than its user's.
//!
//! The claim is Valetkey's own and parsed strictly: ignoring a misspelled member would lift the limit it was meant to
//! set.

use serde_json::Value;

use super::grant::{Scope, TokenCaps};
use super::refusal::Refusal;
use crate::types::credits::MicroCredits;
use crate::types::model::ModelId;

/// The parsed restrictions of a token.
#[derive(Debug)]
pub(super) struct Restrictions {
    /// The scopes of the token. Never empty.
    pub scopes: Vec<Scope>,
    /// The models of the token. Never an empty list; `None` allows all models of the plan.
    pub models: Option<Vec<ModelId>>,
    /// The caps on what may be spent with the token's `jti`.
    pub caps: Option<TokenCaps>,
    /// `iss`: the user's origin issuer. Ignored except in Valetkey's own tokens.
    pub origin: Option<String>,
}

const MEMBERS: [&str; 5] = ["scope", "models", "max_predictions", "max_credits", "iss"];

impl Restrictions {
    /// Parses the `vk` of a token with this `jti`. A token without `vk` is not restricted.
    pub fn parse(vk: Option<&Value>, jti: Option<&str>) -> Result<Self, Refusal> {
        let Some(vk) = vk else {
            return Ok(Self { scopes: Scope::ALL.to_vec(), models: None, caps: None, origin: None });
        };
        let vk = vk.as_object().ok_or(Refusal::BadRestrictions)?;
        if vk.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(Refusal::BadRestrictions);
        }
        let origin =
            vk.get("iss").map(|iss| iss.as_str().map(str::to_owned).ok_or(Refusal::BadRestrictions)).transpose()?;
        let max_predictions = vk.get("max_predictions").map(parse_count).transpose()?;
        let max_credits = vk.get("max_credits").map(parse_credits).transpose()?;
        let caps = match (max_predictions, max_credits, jti) {
            (None, None, _) => None,
            (_, _, None) => return Err(Refusal::CapsWithoutTokenId),
            (_, _, Some(jti)) => Some(TokenCaps { jti: jti.to_owned(), max_predictions, max_credits }),
        };
        Ok(Self {
            scopes: vk.get("scope").map_or_else(|| Ok(Scope::ALL.to_vec()), |names| parse_list(names, Scope::parse))?,
            models: vk.get("models").map(|names| parse_list(names, ModelId::parse)).transpose()?,
            caps,
            origin,
        })
    }
}

/// Parses a non-empty list of different strings. An empty list is refused: its author may have meant "nothing" or
/// "everything".
fn parse_list<T: PartialEq>(value: &Value, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refusal> {
    let mut items = Vec::new();
    for name in value.as_array().filter(|names| !names.is_empty()).ok_or(Refusal::BadRestrictions)? {
        let item = name.as_str().and_then(&parse).filter(|item| !items.contains(item));
        items.push(item.ok_or(Refusal::BadRestrictions)?);
    }
    Ok(items)
}

fn parse_count(value: &Value) -> Result<u32, Refusal> {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.filter(|count| *count >= 1).ok_or(Refusal::BadRestrictions)
}

fn parse_credits(value: &Value) -> Result<MicroCredits, Refusal> {
    value.as_str().and_then(MicroCredits::parse).ok_or(Refusal::BadRestrictions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(vk: Value) -> Result<Restrictions, Refusal> {
        Restrictions::parse(Some(&vk), Some("j1"))
    }

    #[test]
    fn without_vk_a_token_may_do_everything() {
        let restrictions = Restrictions::parse(None, None).unwrap();
        assert_eq!(restrictions.scopes, Scope::ALL);
        assert!(restrictions.models.is_none() && restrictions.caps.is_none());
    }

    #[test]
    fn every_member_narrows() {
        let vk = json!({"scope": ["read"], "models": ["a/b"], "max_predictions": 3, "max_credits": "10", "iss": "x"});
        let restrictions = parse(vk).unwrap();
        assert_eq!(restrictions.scopes, [Scope::Read]);
        assert_eq!(restrictions.models, Some(vec![ModelId::parse("a/b").unwrap()]));
        let caps = restrictions.caps.unwrap();
        assert_eq!((caps.jti.as_str(), caps.max_predictions), ("j1", Some(3)));
        assert_eq!(caps.max_credits, MicroCredits::parse("10"));
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        for vk in [
            json!(null),
            json!([]),
            json!("read"),
            json!({"scopes": ["read"]}),
            json!({"scope": "read"}),
            json!({"scope": []}),
            json!({"scope": ["admin"]}),
            json!({"scope": ["READ"]}),
            json!({"scope": ["read", "read"]}),
            json!({"scope": ["read", 1]}),
            json!({"models": []}),
            json!({"models": ["*"]}),
            json!({"models": ["a/../b"]}),
            json!({"models": "a/b"}),
            json!({"max_predictions": 0}),
            json!({"max_predictions": -1}),
            json!({"max_predictions": 1.0}),
            json!({"max_predictions": "1"}),
            json!({"max_predictions": 4_294_967_296_u64}),
            json!({"max_credits": 10}),
            json!({"max_credits": "-1"}),
            json!({"max_credits": "1e3"}),
            json!({"max_credits": null}),
            json!({"iss": 1}),
        ] {
            assert_eq!(parse(vk.clone()).unwrap_err(), Refusal::BadRestrictions, "{vk}");
        }
    }

    #[test]
    fn caps_are_counted_by_the_tokens_id() {
        for vk in [json!({"max_predictions": 1}), json!({"max_credits": "1"})] {
            assert_eq!(Restrictions::parse(Some(&vk), None).unwrap_err(), Refusal::CapsWithoutTokenId);
        }
        assert!(Restrictions::parse(Some(&json!({"scope": ["read"]})), None).is_ok());
    }
}
