// An HTTP proxy on loopback that records everything that a client sends and receives.
import { once } from "node:events";
import http from "node:http";
import zlib from "node:zlib";

const DECODERS = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync };

export class Recorder {
  /** The recorder's origin, which the client calls in place of the target's. */
  origin;
  /**
   * `{method, path, sent, received}` of each request, oldest first. `sent` and `received` have raw `headers`, and
   * `body` as a list of chunks; `received` has `status` too.
   */
  exchanges = [];
  #server;
  #cut;

  /**
   * Starts a recorder in front of `target`. `cut(exchange)` is called for each chunk of a response, after it is
   * recorded: true breaks the connection before the client gets that chunk.
   */
  static async start(target, cut = () => false) {
    const recorder = new Recorder();
    recorder.#cut = cut;
    recorder.#server = http.createServer((request, response) => recorder.#relay(new URL(target), request, response));
    recorder.#server.listen(0, "127.0.0.1");
    await once(recorder.#server, "listening");
    recorder.origin = `http://127.0.0.1:${recorder.#server.address().port}`;
    return recorder;
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** Returns all exchanges, with content encodings undone, as records for `scan` of key-scan.mjs. */
  records() {
    return this.exchanges.flatMap(({ method, path, sent, received }) =>
      Object.entries({ sent, received }).flatMap(([direction, { headers, body }]) => [
        { what: `${direction} head of ${method} ${path}`, content: [path, ...headers].join("\n") },
        { what: `${direction} body of ${method} ${path}`, content: decode(headers, Buffer.concat(body)) },
      ]),
    );
  }

  #relay({ hostname, port }, request, response) {
    const { method, url: path, rawHeaders } = request;
    const exchange = { method, path, sent: { headers: rawHeaders, body: [] }, received: { headers: [], body: [] } };
    this.exchanges.push(exchange);
    const upstream = http.request({ hostname, port, method, path, headers: rawHeaders, agent: false });
    request.on("data", (chunk) => exchange.sent.body.push(chunk)).pipe(upstream);
    upstream.on("response", (answer) => {
      exchange.received.status = answer.statusCode;
      exchange.received.headers = answer.rawHeaders;
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.on("data", (chunk) => {
        exchange.received.body.push(chunk);
        if (this.#cut(exchange)) response.destroy();
        else response.write(chunk);
      });
      answer.on("end", () => response.end());
      answer.on("error", () => response.destroy());
    });
    upstream.on("error", () => response.destroy());
    // When the client disconnects or the connection is cut, the request to the target ends too.
    response.on("close", () => upstream.destroy());
  }
}

function decode(headers, body) {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === "content-encoding");
  if (at === -1 || body.length === 0) return body;
  const decoder = DECODERS[headers[at + 1]];
  if (decoder === undefined) throw new Error(`the recorder cannot decode content-encoding ${headers[at + 1]}`);
  return decoder(body, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
}
