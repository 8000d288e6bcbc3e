// The claims of a token, read without verifying it: the page only shows them, the Worker verifies. Pure.

export type Claims = Readonly<Record<string, unknown>>;

/** Claims that hold a time, Unix seconds. */
const TIMES: readonly string[] = ["iat", "nbf", "exp"];

/** Returns the claims of a JWT, or `undefined` if the text is none. */
export function claimsOf(token: string): Claims | undefined {
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) return undefined;
  try {
    const bytes = Uint8Array.from(atob((parts[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null && !Array.isArray(claims) ? (claims as Claims) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the whole seconds until the token expires, at least 0; `undefined` if it does not say. */
export function secondsLeft({ exp }: Claims, nowMs: number): number | undefined {
  return typeof exp === "number" ? Math.max(0, Math.floor(exp - nowMs / 1000)) : undefined;
}

/** Returns a claim as text. */
export function claimText(name: string, value: unknown): string {
  if (TIMES.includes(name) && typeof value === "number") return new Date(value * 1000).toLocaleTimeString("en", { timeStyle: "medium" });
  return typeof value === "string" ? value : JSON.stringify(value);
}
