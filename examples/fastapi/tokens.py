"""Signs a five-minute token for a signed-in user. The secret never leaves the backend."""

import os
import time
import uuid

import jwt

TOKEN_SECS = 300
# Valetkey refuses shorter secrets. HS256 with one that can be guessed lets anybody sign.
SECRET_BYTES = 32

SECRET = os.environ.get("APP_TOKEN_SECRET", "")
if len(SECRET.encode()) < SECRET_BYTES:
    raise SystemExit(f"Set APP_TOKEN_SECRET to at least {SECRET_BYTES} bytes: openssl rand -base64 48")


def token_for(user_id: str) -> str:
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
    return jwt.encode(claims, SECRET, algorithm="HS256")
