// A backend with sign-in that signs tokens for Valetkey: node server.mjs
//
//   VALETKEY_URL        Valetkey's origin; default: the one that `make dev` starts
//   APP_TOKEN_SECRET    secret of the ISSUERS entry, at least 32 bytes
//   APP_TOKEN_ISSUER    `issuer` of the entry; default: https://app.example.com
//   APP_TOKEN_AUDIENCE  one of its `audience`s; default: valetkey
//   PORT                default: 3000; 0 takes a free one
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import express from "express";
import { tokenHandler } from "valetkey/server";
import { adapt } from "./adapter.mjs";

const { VALETKEY_URL = "http://127.0.0.1:8787", APP_TOKEN_SECRET, PORT = "3000" } = process.env;
const { APP_TOKEN_ISSUER = "https://app.example.com", APP_TOKEN_AUDIENCE = "valetkey" } = process.env;

/** The signed-in users by session. A real app keeps sessions in a database, with an end. */
const sessions = new Map();

const app = express();
app.use(express.static(join(import.meta.dirname, "../page")));
app.get("/settings.json", (_, response) => response.json({ valetkey_url: VALETKEY_URL }));

/** Trusts the name that it is sent, unlike a real app, which checks a password or asks an identity provider. */
app.post("/sign-in", express.json(), ({ body }, response) => {
  // `body` is undefined if the request is no JSON.
  const name = body?.name;
  if (typeof name !== "string" || name === "" || name.length > 255) return response.sendStatus(400);
  const session = randomUUID();
  sessions.set(session, name);
  // `secure` needs https, which an app has outside of development.
  return response.cookie("session", session, { httpOnly: true, sameSite: "lax", secure: process.env.NODE_ENV === "production" }).sendStatus(204);
});

const handler = tokenHandler({
  secret: APP_TOKEN_SECRET,
  issuer: APP_TOKEN_ISSUER,
  audience: APP_TOKEN_AUDIENCE,
  user: (request) => sessions.get(/(?:^|; )session=([^;]+)/.exec(request.headers.get("cookie"))?.[1]) ?? null,
});
app.post("/valetkey-token", adapt(handler));

const server = app.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
