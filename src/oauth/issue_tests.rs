use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

use super::*;
use crate::token::{GUEST_ISSUER, Possession, Purpose, Refusal, parse_issuers, verify};
use crate::types::credits::MicroCredits;
use crate::types::time::UnixMillis;

const NOW: UnixSeconds = UnixSeconds(1_768_473_000);
const IDP: &str = "https://idp.example";
const URL: &str = "https://api.example";
const SECRET: &str = "a-secret-that-exists-in-tests-alone-0123456789";

fn keys() -> SigningKeys {
    use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
    let pair = KeyPair::from_seed(Seed::new([3; 32]));
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": encode(pair.pk.as_ref()), "d": encode(&[3; 32])});
    SigningKeys::parse(&json!({"keys": [jwk]}).to_string(), URL).unwrap()
}

/// Returns an identity provider's token with the usual claims and these, verified for an exchange.
fn subject(claims: &Value) -> VerifiedToken {
    use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
    use jwt_simple::algorithms::{HS256Key, MACLike};
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
    let mut all = json!({"iss": IDP, "aud": "app", "sub": "u1", "iat": NOW.0 - 60, "exp": NOW.0 + 3_000});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let input = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(all.to_string().as_bytes()));
    let tag = HS256Key::from_bytes(SECRET.as_bytes()).authentication_tag(input.as_bytes());
    let issuers = json!([{"issuer": IDP, "audience": ["app"], "keys": {"secret": "S"}, "algorithms": ["HS256"],
        "use": ["exchange"], "max_lifetime_secs": 86_400}]);
    let issuers = parse_issuers(&issuers.to_string(), &|_| Some(SECRET.to_owned())).unwrap();
    let token = format!("{input}.{}", encode(&tag));
    verify(&token, &issuers, Purpose::Exchange, Possession::None, NOW).unwrap()
}

fn id() -> TokenId {
    TokenId::new(UnixMillis(1), [1; 10])
}

fn exchange(claims: &Value, requested: &RequestedRestrictions) -> Result<VerifiedToken, OAuthRefusal> {
    let keys = keys();
    let issued = issue_for_subject(&subject(claims), requested, None, &keys, 300, &id(), NOW)?;
    let own = [keys.to_issuer(vec![IDP.to_owned(), GUEST_ISSUER.to_owned()])];
    let verified = verify(issued.token.expose(), &own, Purpose::Access, Possession::None, NOW).unwrap();
    assert_eq!(issued.expires_in, verified.grant.expires_at.0 - NOW.0);
    assert!(!issued.is_bound);
    Ok(verified)
}

#[test]
fn the_new_token_is_the_same_user_with_the_same_plan_for_five_minutes() {
    let before = subject(&json!({"plan": "pro"}));
    let after = exchange(&json!({"plan": "pro"}), &RequestedRestrictions::default()).unwrap();
    assert_eq!(after.grant.user, before.grant.user);
    assert_eq!(after.grant.plan.as_deref(), Some("pro"));
    assert_eq!(after.grant.scopes, Scope::ALL);
    assert_eq!((after.grant.issued_at, after.grant.expires_at), (NOW, UnixSeconds(NOW.0 + 300)));
    assert_eq!(after.grant.jti.as_deref(), Some(id().as_str()));
}

#[test]
fn the_new_token_names_the_client_of_the_old_one() {
    for (claims, client) in [
        (json!({"client_id": "app-c", "azp": "app-a"}), "app-c"),
        (json!({"azp": "app-a"}), "app-a"),
        (json!({}), "app"),
        (json!({"aud": ["other", "app"]}), "app"),
    ] {
        let after = exchange(&claims, &RequestedRestrictions::default()).unwrap();
        assert_eq!(after.client_id(), client, "{claims}");
    }
    let name = GuestId::new(UnixMillis(1), [1; 10]);
    let keys = keys();
    let issued = issue_to_new_guest(&name, &RequestedRestrictions::default(), None, &keys, 300, &id(), NOW).unwrap();
    let own = [keys.to_issuer(vec![GUEST_ISSUER.to_owned()])];
    let verified = verify(issued.token.expose(), &own, Purpose::Access, Possession::None, NOW).unwrap();
    assert_eq!(verified.client_id(), "guest");
}

#[test]
fn the_new_token_ends_with_the_old_one() {
    let after = exchange(&json!({"exp": NOW.0 + 10}), &RequestedRestrictions::default()).unwrap();
    assert_eq!(after.grant.expires_at, UnixSeconds(NOW.0 + 10));
    // The subject token is still valid because of the leeway, but the new token would expire now.
    let ends = exchange(&json!({"exp": NOW.0}), &RequestedRestrictions::default()).unwrap_err();
    assert_eq!((ends.error, ends.reason), (OAuthError::InvalidRequest, "subject_token_ends"));
}

#[test]
fn what_is_wanted_narrows_and_what_the_subject_token_lacks_stays_away() {
    let vk = json!({"jti": "j1", "vk": {"scope": ["read", "create"], "models": ["a/b", "c/d"], "max_predictions": 3, "max_credits": "10"}});
    let same = exchange(&vk, &RequestedRestrictions::default()).unwrap().grant;
    assert_eq!(same.scopes, [Scope::Read, Scope::Create]);
    assert_eq!(same.models.as_ref().map(Vec::len), Some(2));
    let caps = same.caps.unwrap();
    assert_eq!((caps.jti.as_str(), caps.max_predictions), ("j1", Some(3)), "caps are counted where they were");
    assert_eq!(same.jti.as_deref(), Some("j1"));

    let requested = RequestedRestrictions {
        scopes: Some(vec![Scope::Read]),
        models: Some(vec![ModelId::parse("c/d").unwrap()]),
        max_predictions: Some(2),
        max_credits: MicroCredits::parse("9.5"),
    };
    let less = exchange(&vk, &requested).unwrap().grant;
    assert_eq!((less.scopes.as_slice(), less.models.as_deref()), (&[Scope::Read][..], requested.models.as_deref()));
    let caps = less.caps.unwrap();
    assert_eq!((caps.max_predictions, caps.max_credits), (Some(2), requested.max_credits));
    assert_eq!(caps.jti, "j1");
}

#[test]
fn caps_that_the_subject_token_lacks_are_counted_by_the_new_id() {
    let requested = RequestedRestrictions { max_predictions: Some(1), ..RequestedRestrictions::default() };
    let caps = exchange(&json!({"jti": "j1"}), &requested).unwrap().grant.caps.unwrap();
    assert_eq!((caps.jti.as_str(), caps.max_predictions, caps.max_credits), (id().as_str(), Some(1), None));
}

#[test]
fn a_token_that_nobody_could_use_is_not_made() {
    let name = |number: usize| ModelId::parse(&format!("owner/{}{number}", "m".repeat(60))).unwrap();
    let requested =
        RequestedRestrictions { models: Some((0..100).map(name).collect()), ..RequestedRestrictions::default() };
    assert_eq!(exchange(&json!({}), &requested).unwrap_err().reason, "too_long");
}

#[test]
fn nothing_can_be_widened() {
    let vk =
        json!({"jti": "j1", "vk": {"scope": ["read"], "models": ["a/b"], "max_predictions": 3, "max_credits": "10"}});
    for (requested, error, reason) in [
        (
            RequestedRestrictions { scopes: Some(vec![Scope::Read, Scope::Files]), ..RequestedRestrictions::default() },
            OAuthError::InvalidScope,
            "wider_scope",
        ),
        (
            RequestedRestrictions {
                models: Some(vec![ModelId::parse("c/d").unwrap()]),
                ..RequestedRestrictions::default()
            },
            OAuthError::InvalidRequest,
            "wider_models",
        ),
        (
            RequestedRestrictions { max_predictions: Some(4), ..RequestedRestrictions::default() },
            OAuthError::InvalidRequest,
            "wider_predictions",
        ),
        (
            RequestedRestrictions { max_credits: MicroCredits::parse("10.000001"), ..RequestedRestrictions::default() },
            OAuthError::InvalidRequest,
            "wider_credits",
        ),
    ] {
        let refused = exchange(&vk, &requested).unwrap_err();
        assert_eq!((refused.error, refused.reason), (error, reason));
    }
}

#[test]
fn a_guest_is_a_user_of_their_own_on_the_plan_of_guests() {
    let keys = keys();
    let own = [keys.to_issuer(vec![GUEST_ISSUER.to_owned()])];
    let visit = |random: u8| {
        let name = GuestId::new(UnixMillis(1), [random; 10]);
        let issued =
            issue_to_new_guest(&name, &RequestedRestrictions::default(), None, &keys, 300, &id(), NOW).unwrap();
        assert_eq!(issued.scope, "create read cancel files");
        verify(issued.token.expose(), &own, Purpose::Access, Possession::None, NOW).unwrap().grant
    };
    assert_eq!(visit(1).plan.as_deref(), Some(GUEST_PLAN));
    assert_ne!(visit(1).user, visit(2).user);
    // Turning guests off ends their tokens at once.
    let name = GuestId::new(UnixMillis(1), [1; 10]);
    let issued = issue_to_new_guest(&name, &RequestedRestrictions::default(), None, &keys, 300, &id(), NOW).unwrap();
    let refused = verify(issued.token.expose(), &[keys.to_issuer(Vec::new())], Purpose::Access, Possession::None, NOW)
        .unwrap_err();
    assert_eq!(refused, Refusal::UnknownOrigin);
}
