// The channel between the Worker and its Durable Objects: encodes and decodes messages and replies.
//
// Messages and replies are text. A short message travels in the URL and a short reply in a header, because a body makes
// a stream on both sides of the channel, which costs a fifth of a read.

/** The longest message in a URL, characters before percent-encoding. */
const IN_URL_MAX = 1_500;

/** The longest reply in a header, bytes. */
const IN_HEADER_MAX = 4_000;

const ADDRESS = "https://object/";
const HEADER = "reply";
const HEADER_SAFE = /^[\x20-\x7e]*$/;

/**
 * Returns the arguments of `stub.fetch` for a message.
 *
 * A message that starts with a space holds what a user wrote (`encode_message` in objects/client.rs). It always travels
 * in the body, because the platform may log a URL.
 */
export function encodeRequest(message) {
  return message.length <= IN_URL_MAX && !message.startsWith(" ")
    ? [`${ADDRESS}?${encodeURIComponent(message)}`]
    : [ADDRESS, { method: "POST", body: message }];
}

/** Returns the arguments of `stub.fetch` for a message that opens a socket. */
export function socketRequest(message) {
  return [`${ADDRESS}?${encodeURIComponent(message)}`, { headers: { Upgrade: "websocket" } }];
}

/** Returns whether a request opens a socket. */
export function opensSocket(request) {
  return request.headers.get("Upgrade") === "websocket";
}

/** Returns the message in a request: a text, or a promise of one. */
export function decodeRequest(request) {
  if (request.method !== "GET") return request.text();
  return decodeURIComponent(request.url.slice(ADDRESS.length + 1));
}

/** Returns the response that carries a reply. */
export function encodeReply(reply) {
  const fits = reply.length <= IN_HEADER_MAX && HEADER_SAFE.test(reply);
  return fits ? new Response(null, { headers: { [HEADER]: reply } }) : new Response(reply);
}

/** Returns the reply in a response: a text, or a promise of one. */
export function decodeReply(response) {
  return response.headers.get(HEADER) ?? response.text();
}

const TIMED_OUT = new Error("no reply in time");

/**
 * Sends a message to a Durable Object and resolves to its reply. Rejects after `timeoutMs`, although the object may
 * still handle the message.
 */
export function callObject(namespace, name, message, timeoutMs) {
  return exchange(namespace, name, encodeRequest(message), timeoutMs, decodeReply);
}

/**
 * Sends a request to a Durable Object and resolves to what `read` makes of the response, which may be a promise. Rejects
 * after `timeoutMs`.
 *
 * A message that failed with a retryable error is sent once more, to a new stub, as the platform recommends
 * (developers.cloudflare.com/durable-objects/best-practices/error-handling), but never to an overloaded object.
 * Messages are idempotent, so one may arrive twice (protocol 2).
 */
export function exchange(namespace, name, request, timeoutMs, read) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, timeoutMs, TIMED_OUT);
    const settle = (end) => (value) => {
      clearTimeout(timer);
      end(value);
    };
    const fail = settle(reject);
    const receive = (response) => {
      const reply = read(response);
      if (typeof reply === "string") settle(resolve)(reply);
      else reply.then(settle(resolve), fail);
    };
    const send = () => namespace.getByName(name).fetch(...request);
    send().then(receive, (error) => {
      if (error?.retryable === true && error.overloaded !== true) send().then(receive, fail);
      else fail(error);
    });
  });
}
