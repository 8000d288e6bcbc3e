// The peer that many teams would write instead: Hono and jose verify the token, then relay the request.
import { Hono } from "hono";
import { jwtVerify } from "jose";

const app = new Hono();
let secret;

app.use("/v1/*", async (context, next) => {
  secret ??= new TextEncoder().encode(context.env.TEST_SECRET);
  const token = (context.req.header("Authorization") ?? "").replace(/^Bearer /, "");
  try {
    await jwtVerify(token, secret, {
      algorithms: ["HS256"], issuer: "https://issuer.example", audience: "bench", maxTokenAge: "1h", requiredClaims: ["exp", "sub"],
    });
  } catch {
    return context.json({ error: { type: "authentication_error", message: "The token is not valid.", code: "invalid_token" } }, 401);
  }
  return next();
});

const relay = (context, init) =>
  fetch(context.env.UPSTREAM_URL + context.req.path.slice("/v1".length), {
    ...init,
    headers: { Authorization: `Bearer ${context.env.DEEPCREATIVE_API_KEY}`, "Content-Type": "application/json" },
  });

app.get("/v1/predictions/:id", async (context) => {
  const answer = await relay(context, { method: "GET" });
  return context.json(await answer.json(), answer.status);
});

app.post("/v1/:owner/:model/predictions", async (context) => {
  const body = await context.req.json();
  const answer = await relay(context, { method: "POST", body: JSON.stringify({ input: body.input }) });
  return context.json(await answer.json(), answer.status);
});

export default app;
