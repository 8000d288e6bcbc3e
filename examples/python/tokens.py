"""The backend's part: signs a five-minute token for a signed-in user. The secret never leaves the backend."""

import os
import time
import uuid

import jwt

TOKEN_SECS = 300


def token_for(user_id: str, plan: str | None = None) -> str:
    """Returns a token for this user that the `ISSUERS` entry in docs/identity.md accepts."""
    now = int(time.time())
    claims = {
        "iss": os.environ.get("APP_TOKEN_ISSUER", "https://app.example.com"),
        "aud": os.environ.get("APP_TOKEN_AUDIENCE", "valetkey"),
        "sub": user_id,
        "iat": now,
        "exp": now + TOKEN_SECS,
        "jti": str(uuid.uuid4()),
    }
    if plan is not None:
        claims["plan"] = plan
    return jwt.encode(claims, os.environ["APP_TOKEN_SECRET"], algorithm="HS256")
