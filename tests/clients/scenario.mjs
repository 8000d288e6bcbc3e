// Runs scenarios of a client that is not JavaScript: a program that prints a line for each step, against the built Worker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { Proxy } from "./proxy.mjs";
import { startClientStack } from "./stack.mjs";

/** Stops processes and servers that a timed-out test left running. */
export const leftOvers = new Set();

let people = 0;

/**
 * Starts a client stack and a proxy before the tests of a file, and stops them after. Both are members of the result from
 * then on.
 */
export function useLiveStack(options) {
  const live = {};
  before(async () => {
    live.stack = await startClientStack();
    live.proxy = await Proxy.start(live.stack.origin);
  }, options);
  after(async () => {
    for (const end of leftOvers) end();
    await live.proxy?.stop();
    await live.stack?.stop();
  });
  return live;
}

/** Starts the app's own backend: it responds to the n-th GET with the result of `give(n)`. */
async function backend(give) {
  let times = 0;
  const server = createServer(async (_, answer) => answer.end(await give((times += 1))));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/**
 * Runs the program `commandOf(tokenUrl)` as a new user of `stack`. Awaits `onLine` before it reads the next line.
 * `give(times, token)` replaces the backend's tokens. Returns the number of creates that reached the vendor meanwhile,
 * and `of(word)`, which returns the values of the lines that begin with a word.
 */
export async function playScenario(stack, commandOf, { plan, give, onLine = () => {} } = {}) {
  const subject = `person-${(people += 1)}`;
  const token = (as = subject) => stack.simulator.token(as, plan);
  const server = await backend((times) => (give === undefined ? token() : give(times, token)));
  const { next } = await stack.simulator.requests();
  const [command, ...args] = commandOf(`http://127.0.0.1:${server.address().port}/token`);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  leftOvers.add(kill);
  const told = [];
  try {
    const exited = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
      const [what, ...value] = line.split(" ");
      told.push([what, value.join(" ")]);
      await onLine(line);
    }
    assert.deepEqual(await exited, [0, null]);
  } finally {
    kill();
    leftOvers.delete(kill);
    server.closeAllConnections();
    server.close();
  }
  const creates = (await stack.simulator.vendorRequests(next)).filter(({ route }) => route === "create");
  const of = (what) => told.filter(([name]) => name === what).map(([, value]) => value);
  return { of, creates: creates.length };
}
