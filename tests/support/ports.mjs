// Ports for programs that cannot choose one themselves, because their settings contain it.
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** The system gives out only ports above these to whoever asks for any port, and to outgoing connections. */
const LOWEST = 10_000;
const HIGHEST = 30_000;

/**
 * Returns a free port of this machine. It stays free until its program binds it, because the system gives it to nobody else
 * meanwhile.
 */
export async function freePort() {
  const server = createServer().listen(randomInt(LOWEST, HIGHEST), "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return freePort();
  }
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
