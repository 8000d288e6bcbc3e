// The one client of the app. It keeps the token in memory, so all calls share one token.
import { valetkey } from "valetkey";

// Default: the addresses of `make dev`. Set the variables in .env to change them.
const { VITE_VALETKEY_URL = "http://127.0.0.1:8787", VITE_SESSION_URL = "http://127.0.0.1:8788/session" } = import.meta.env;

/**
 * Fetches a token from your own backend, which takes the user from the signed-in session. The backend of `make dev`
 * trusts the name that it is sent.
 */
async function getToken(): Promise<string> {
  const answer = await fetch(VITE_SESSION_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sub: "alice" }),
  });
  const { token }: { token: string } = await answer.json();
  return token;
}

export const client = valetkey({ baseUrl: VITE_VALETKEY_URL, getToken });
