// A request of this page as a curl command. Pure.

/** Stands for the token. In a shell, an unset variable sends no token, so nothing leaks by accident. */
export const PLACEHOLDER = "$TOKEN";

export interface SentRequest {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** Returns the command. `token` replaces the placeholder. */
export function curlOf({ method, url, headers, body }: SentRequest, token?: string): string {
  const lines = [`curl -X ${method} ${quote(url)}`, ` -H ${token === undefined ? `"Authorization: Bearer ${PLACEHOLDER}"` : quote(`Authorization: Bearer ${token}`)}`];
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() !== "authorization") lines.push(` -H ${quote(`${name}: ${value}`)}`);
  }
  if (body !== "") lines.push(` -d ${quote(body)}`);
  return lines.join(" \\\n");
}

/** Quotes a text for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
