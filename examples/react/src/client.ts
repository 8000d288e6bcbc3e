// One client for the whole app: it keeps the token, and parallel calls share it.
import { valetkey } from "valetkey";

// Those of `make dev`, unless .env says otherwise.
const { VITE_VALETKEY_URL = "http://127.0.0.1:8787", VITE_SESSION_URL = "http://127.0.0.1:8788/session" } = import.meta.env;

/** Asks your own backend, which knows who is signed in. That of `make dev` believes any name. */
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
