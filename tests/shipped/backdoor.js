// A second Worker beside the one under test. It sends messages to the Durable Objects that no client can send, and ends
// their instances: `workerd:unsafe` is in workerd alone, behind the flag `unsafe_module` and `--experimental`.
import unsafe from "workerd:unsafe";

export default {
  async fetch(request, env) {
    const [, binding, name, path = ""] = new URL(request.url).pathname.split("/");
    // The process keeps running, and everything that the objects have in flight is lost.
    if (binding === "abort-all") return done(unsafe.abortAllDurableObjects());
    const stub = env[binding].getByName(name);
    // Waits for what the object has in flight. Its sockets hibernate.
    if (path === "evict") return done(unsafe.evict(stub).catch(unlessNotRunning));
    const reply = await stub.fetch(`https://object/${path}`, { method: "POST", body: await request.text() });
    return new Response(reply.headers.get("reply") ?? (await reply.text()));
  },
};

/** An object that does not run has nothing in memory. */
function unlessNotRunning(error) {
  if (!error.message.includes("not currently running")) throw error;
}

async function done(promise) {
  await promise;
  return new Response("{}");
}
