// The null relay: forwards requests and does nothing else, so that it measures what the runtime costs.
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return fetch(env.UPSTREAM_URL + pathname.slice("/v1".length), { method: request.method, headers: request.headers, body: request.body });
  },
};
