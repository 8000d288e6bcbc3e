"""A backend with sign-in that signs tokens for Valetkey: uvicorn main:app --port 3000

VALETKEY_URL        Valetkey's origin; default: the one that `make dev` starts
APP_TOKEN_SECRET    secret of the ISSUERS entry, at least 32 bytes
APP_TOKEN_ISSUER    `issuer` of the entry; default: https://app.example.com
APP_TOKEN_AUDIENCE  one of its `audience`s; default: valetkey
"""

import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, FastAPI, HTTPException, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from tokens import token_for

VALETKEY_URL = os.environ.get("VALETKEY_URL", "http://127.0.0.1:8787")
NEVER_CACHED = {"Cache-Control": "no-store"}

# The signed-in users by session. A real app keeps sessions in a database, with an end.
sessions: dict[str, str] = {}
app = FastAPI()


class SignIn(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=255)]


@app.get("/settings.json")
def settings() -> dict[str, str]:
    return {"valetkey_url": VALETKEY_URL}


@app.post("/sign-in", status_code=204)
def sign_in(body: SignIn, response: Response) -> None:
    """Trusts the name that it is sent, unlike a real app, which checks a password or asks an identity provider."""
    session = secrets.token_urlsafe()
    sessions[session] = body.name
    # `secure` needs https, which an app has outside of development.
    response.set_cookie("session", session, httponly=True, samesite="lax", secure="PRODUCTION" in os.environ)


@app.post("/valetkey-token")
def valetkey_token(response: Response, session: Annotated[str, Cookie()] = "") -> dict[str, str]:
    user_id = sessions.get(session)
    if user_id is None:
        raise HTTPException(401, "signed_out", NEVER_CACHED)
    response.headers.update(NEVER_CACHED)
    return {"token": token_for(user_id)}


app.mount("/", StaticFiles(directory=Path(__file__).parent.parent / "page", html=True))
