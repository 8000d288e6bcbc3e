/**
 * Mounts a handler of the fetch API, from a `Request` to a `Response`, in Express 5 and in Fastify. The handler gets the
 * framework's own request as its second argument.
 */
export function adapt(handler) {
  return async (incoming, outgoing) => {
    const { method, headers, originalUrl } = incoming;
    const request = new Request(new URL(originalUrl, "http://backend"), { method, headers });
    const response = await handler(request, incoming);
    outgoing.status(response.status);
    for (const [name, value] of response.headers) outgoing.header(name, value);
    outgoing.send(await response.text());
    return outgoing;
  };
}
