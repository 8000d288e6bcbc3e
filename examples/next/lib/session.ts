// The session of a signed-in user: a signed cookie, which no script can read. A real app uses its own sign-in instead.
import { jwtVerify, SignJWT } from "jose";
import { cookies } from "next/headers";

const COOKIE = "session";
const SESSION_SECS = 8 * 60 * 60;

/** A secret of its own: whoever can make sessions must not be able to sign tokens, nor the other way around. */
function secret(): Uint8Array {
  const text = process.env.SESSION_SECRET ?? "";
  if (text.length < 32) throw new Error("Set SESSION_SECRET to at least 32 characters: openssl rand -base64 48");
  return new TextEncoder().encode(text);
}

export async function startSession(user: string): Promise<void> {
  const value = await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(user).setExpirationTime(`${SESSION_SECS}s`).sign(secret());
  const isSecure = process.env.INSECURE_COOKIES === undefined;
  (await cookies()).set(COOKIE, value, { httpOnly: true, sameSite: "lax", secure: isSecure, maxAge: SESSION_SECS });
}

/** Returns the signed-in user's id, or null. */
export async function currentUser(): Promise<string | null> {
  const value = (await cookies()).get(COOKIE)?.value;
  if (value === undefined) return null;
  try {
    return (await jwtVerify(value, secret(), { algorithms: ["HS256"] })).payload.sub ?? null;
  } catch {
    // Expired, or not ours.
    return null;
  }
}
