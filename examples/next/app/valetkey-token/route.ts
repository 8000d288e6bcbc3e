// The endpoint that signs tokens for Valetkey: `POST /valetkey-token`.
import { tokenHandler } from "valetkey/server";
import { currentUser } from "../../lib/session";

const { APP_TOKEN_SECRET, APP_TOKEN_ISSUER = "https://app.example.com", APP_TOKEN_AUDIENCE = "valetkey" } = process.env;

export const POST = tokenHandler({ secret: APP_TOKEN_SECRET, issuer: APP_TOKEN_ISSUER, audience: APP_TOKEN_AUDIENCE, user: currentUser });
