// Sends notifications to the operator's receivers.

/**
 * Posts JSON. Resolves to whether the response is 2xx. Never follows a redirect, which could lead to a host that is not
 * configured; never reads the body, which may be endless; never rejects, because an error may contain the URL.
 */
export async function postNotification(url, userAgent, id, timestamp, signature, body, timeoutMs) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeoutMs);
  const headers = {
    "Content-Type": "application/json",
    "User-Agent": userAgent,
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  try {
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal: abort.signal });
    response.body?.cancel().catch(() => {});
    return response.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
