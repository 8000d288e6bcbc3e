/** Reads a body up to a limit. Returns nothing if it is longer, or ends early: nobody's answer may fill the memory. */
export async function bytesOf(response: Response, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > maxBytes) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

/** Reads JSON up to a limit. Returns nothing if it is longer, or is none. */
export async function jsonOf(response: Response, maxBytes: number): Promise<unknown> {
  try {
    return JSON.parse((await bytesOf(response, maxBytes))?.toString() ?? "") as unknown;
  } catch {
    return undefined;
  }
}
