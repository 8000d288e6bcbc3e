use jwt_simple::prelude::*;

#[derive(Serialize)]
struct Plan<'a> {
    plan: &'a str,
}

pub fn token_for(user_id: &str, plan: &str) -> Result<String, jwt_simple::Error> {
    let secret = std::env::var("APP_TOKEN_SECRET")?;
    let mut claims = Claims::with_custom_claims(Plan { plan }, Duration::from_mins(5))
        .with_issuer("https://app.example.com")
        .with_audience("valetkey")
        .with_subject(user_id);
    claims.create_nonce();
    claims.jwt_id = claims.nonce.take();
    HS256Key::from_bytes(secret.as_bytes()).authenticate(claims)
}
