// The sockets between a response of the edge and a user's Ledger, both ends. The Ledger sends, the edge only reads.
//
// The Ledger's end hibernates: the platform keeps it, and the text attached to it, while the object sleeps without memory
// (developers.cloudflare.com/durable-objects/best-practices/websockets). Which socket is told what is decided in
// src/ledger/sockets.rs.
import { exchange, decodeReply, socketRequest } from "./object_channel.js";
import { stopAfterDeath } from "./platform.js";

/** `WebSocket.OPEN`. A socket that was closed by either side does not count. */
const OPEN = 1;

/** The code of a socket that ended without a close frame (RFC 6455 section 7.1.5): its object was reset or replaced. */
const LOST = 1006;

/**
 * Completes the closing of a socket that the other side closed. Without it, the other side would see its socket as lost
 * ten seconds later. `code` is that of the other side: 1005 and 1006 stand for the absence of a code or of a close frame,
 * and are not answered.
 */
export function completeClose(socket, code) {
  if (code !== 1005 && code !== LOST) socket.close(1000);
}

// ---- The Ledger's end -----------------------------------------------------------------------------------------------

const openSockets = (state, tag) => state.getWebSockets(tag).filter((socket) => socket.readyState === OPEN);

/** Returns the texts attached to the open sockets, which are JSON, as a JSON list. */
export function attachments(state) {
  return `[${openSockets(state).map((socket) => socket.deserializeAttachment())}]`;
}

/** Accepts a socket under a tag, attaches a text, and sends the first message. */
export function acceptSocket(state, socket, tag, attachment, message) {
  state.acceptWebSocket(socket, [tag]);
  socket.serializeAttachment(attachment);
  socket.send(message);
}

/** Sends a message to the open sockets with this tag, and attaches a text. */
export function tellSocket(state, tag, attachment, message) {
  for (const socket of openSockets(state, tag)) {
    socket.serializeAttachment(attachment);
    socket.send(message);
  }
}

/** Closes the open sockets with this tag. */
export function closeSocket(state, tag, code) {
  for (const socket of openSockets(state, tag)) socket.close(code);
}

// ---- The edge's end -------------------------------------------------------------------------------------------------

/** A socket to a Ledger. What arrives waits until it is read. */
class LedgerSocket {
  #socket;
  #received = [];
  #wake = () => {};
  #isClosed = false;
  #ended;

  constructor(socket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", ({ code }) => this.#end(code));
    // The platform may report an error before or after the close event.
    socket.addEventListener("error", () => this.#end(LOST));
    const { promise, resolve } = Promise.withResolvers();
    this.#ended = resolve;
    stopAfterDeath(promise, () => this.close());
    socket.accept();
  }

  #receive(item) {
    this.#received.push(item);
    this.#wake();
  }

  #end(code) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ended();
    completeClose(this.#socket, code);
    this.#receive(code);
  }

  /**
   * Resolves to the next message, a text; or to the code with which the socket was closed, a number; or to `undefined`
   * after `ms`. Only one call at a time.
   */
  next(ms) {
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(this.#received.shift());
      };
      const timer = setTimeout(settle, ms);
      this.#wake = settle;
      if (this.#received.length > 0) settle();
    });
  }

  /** Closes the socket, and lets a pending `next` resolve first: its timer would keep the request going. */
  close() {
    this.#wake();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ended();
    this.#socket.close(1000);
  }
}

/**
 * Sends a message that opens a socket to a Durable Object. Resolves to [reply, socket]: the reply is the first message of
 * the socket. `socket` is undefined if the object opened none: it refused, or its version is older than sockets. Rejects
 * as `callObject` does.
 */
export function openSocket(namespace, name, message, timeoutMs) {
  let socket;
  let isLate = false;
  const read = async (response) => {
    if (!response.webSocket) return [await decodeReply(response), undefined];
    socket = new LedgerSocket(response.webSocket);
    if (isLate) socket.close();
    const first = await socket.next(timeoutMs);
    if (typeof first === "string") return [first, socket];
    throw new Error("the socket was lost");
  };
  return exchange(namespace, name, socketRequest(message), timeoutMs, read).catch((error) => {
    isLate = true;
    socket?.close();
    throw error;
  });
}

/** Reads the next item of a socket. */
export function nextOf(socket, ms) {
  return socket.next(ms);
}

/** Closes a socket. */
export function closeLedgerSocket(socket) {
  socket.close();
}
