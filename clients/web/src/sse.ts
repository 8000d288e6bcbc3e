// Server-sent events out of text that comes in any pieces (WHATWG HTML, section 9.2.6).

export interface ServerEvent {
  /** Empty where the stream names none. */
  type: string;
  data: string;
  /** The last id that was seen, with this event or before. */
  id: string;
}

/** A prediction is a few kilobytes; a stream that sends more without an end is not ours. */
const MAX_PENDING = 1 << 20;

/**
 * Returns a function that takes the next piece, without a byte order mark (a `TextDecoder` takes it away), and gives the events that it
 * completed. Throws where a line never ends.
 */
export function eventParser(): (piece: string) => ServerEvent[] {
  let pending = "";
  let type = "";
  let data: string[] = [];
  let id = "";

  const field = (line: string): void => {
    const [, name, value = ""] = /^([^:]*):? ?([^]*)$/.exec(line) ?? [];
    if (name === "data") data.push(value);
    else if (name === "event") type = value;
    else if (name === "id" && !value.includes("\0")) id = value;
  };

  return (piece) => {
    // A CR at the end may be half of a CR LF: it waits for the next piece.
    const lines = (pending + piece).split(/\r\n|\n|\r(?!$)/);
    pending = lines.pop() ?? "";
    if (pending.length + data.join("").length > MAX_PENDING) throw new SyntaxError();
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line !== "") field(line);
      else {
        if (data.length > 0) events.push({ type, data: data.join("\n"), id });
        type = "";
        data = [];
      }
    }
    return events;
  };
}
