// Parses server-sent events from text that arrives in arbitrary chunks (WHATWG HTML, section 9.2.6).

export interface ServerEvent {
  /** Event type. Empty if the event names none. */
  type: string;
  /** The `data` lines, joined with line breaks. */
  data: string;
  /** The last event id of the stream: from this event or, if it has none, from an earlier one. */
  id: string;
}

/** Characters of one unfinished event. A prediction has a few kilobytes; a larger event is not from Valetkey. */
const MAX_PENDING = 1 << 20;

/**
 * Returns a function that takes the next chunk of text and returns the events that the chunk completes. The text must
 * not start with a byte order mark (`TextDecoder` removes it). The function throws a SyntaxError if an unfinished event
 * exceeds `MAX_PENDING`.
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
    // A CR at the end of the chunk may be the first half of a CR LF, so it stays pending until the next chunk.
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
