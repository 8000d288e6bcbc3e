// How a message reaches a Durable Object, and how its reply comes back: both ends of the channel.
//
// A message and a reply are texts. A short one travels without a body, since a body makes a stream on both sides of the
// channel and costs a fifth of a read: a message in the URL, a reply in a header.

/** The longest message in a URL, characters before percent-encoding. */
const IN_URL_MAX = 1_500;

/** The longest reply in a header, bytes. */
const IN_HEADER_MAX = 4_000;

const ADDRESS = "https://object/";
const HEADER = "reply";
const HEADER_SAFE = /^[\x20-\x7e]*$/;

/**
 * The arguments of `stub.fetch` for a message.
 *
 * A message that starts with a space holds what a user wrote (`message()` in objects/client.rs): it always travels in the
 * body, because the platform may log a URL.
 */
export function encodeRequest(message) {
  return message.length <= IN_URL_MAX && !message.startsWith(" ")
    ? [`${ADDRESS}?${encodeURIComponent(message)}`]
    : [ADDRESS, { method: "POST", body: message }];
}

/** The message in a request: a text, or a promise of one. */
export function decodeRequest(request) {
  if (request.method !== "GET") return request.text();
  return decodeURIComponent(request.url.slice(ADDRESS.length + 1));
}

/** The response for a reply. */
export function encodeReply(reply) {
  const fits = reply.length <= IN_HEADER_MAX && HEADER_SAFE.test(reply);
  return fits ? new Response(null, { headers: { [HEADER]: reply } }) : new Response(reply);
}

/** The reply in a response: a text, or a promise of one. */
export function decodeReply(response) {
  return response.headers.get(HEADER) ?? response.text();
}

const TIMED_OUT = new Error("no reply in time");

/**
 * Sends a message to a Durable Object and resolves to its reply; rejects after `timeoutMs`, although the object goes on.
 *
 * Every message names what it is about and may arrive twice. So one that failed with a retryable error is sent once
 * more, to a new stub, as the platform asks for (developers.cloudflare.com/durable-objects/best-practices/error-handling);
 * never to an object that is overloaded.
 */
export function callObject(namespace, name, message, timeoutMs) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, timeoutMs, TIMED_OUT);
    const send = async () => decodeReply(await namespace.getByName(name).fetch(...encodeRequest(message)));
    const mayRetry = (error) => error?.retryable === true && error.overloaded !== true;
    send()
      .catch((error) => (mayRetry(error) ? send() : Promise.reject(error)))
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
