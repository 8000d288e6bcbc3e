// A TCP proxy between a client and the Worker that loses responses and cuts connections on request.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  #server;
  #target;
  #pairs = new Set();
  #losses = [];
  #isDown = false;

  /** Starts a proxy in front of `origin`, on a free port. */
  static async start(origin) {
    const proxy = new Proxy(new URL(origin));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Loses one response: that to the next request whose first line matches `pattern`. The request arrives. */
  loseAnswer(pattern) {
    this.#losses.push(pattern);
  }

  /** Cuts every open connection. Returns how many there were. */
  cut() {
    const { size } = this.#pairs;
    for (const pair of this.#pairs) pair.forEach((socket) => socket.destroy());
    return size;
  }

  /** Cuts every connection and refuses new ones for `ms` milliseconds. */
  downFor(ms) {
    return this.downWhile(() => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Cuts every connection and refuses new ones until what `wait` returns resolves. */
  async downWhile(wait) {
    this.#isDown = true;
    this.cut();
    try {
      await wait();
    } finally {
      this.#isDown = false;
    }
  }

  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client) {
    if (this.#isDown) {
      client.destroy();
      return;
    }
    const worker = connect(Number(this.#target.port), this.#target.hostname);
    const pair = [client, worker];
    this.#pairs.add(pair);
    let isLost = false;
    // Every request starts a new chunk: these clients do not pipeline.
    client.on("data", (piece) => {
      const line = piece.toString("latin1").split("\r\n", 1)[0];
      const loss = this.#losses.findIndex((pattern) => pattern.test(line));
      if (loss >= 0) {
        this.#losses.splice(loss, 1);
        isLost = true;
      }
      worker.write(piece);
    });
    worker.on("data", (piece) => {
      if (isLost) end();
      else client.write(piece);
    });
    const end = () => {
      this.#pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    for (const socket of pair) {
      socket.on("error", end);
      socket.on("close", end);
    }
  }
}
