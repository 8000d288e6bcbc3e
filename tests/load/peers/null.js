// A relay that does nothing: what the runtime itself costs.
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return fetch(env.UPSTREAM_URL + pathname.slice("/v1".length), { method: request.method, headers: request.headers, body: request.body });
  },
};
