// Uploads with progress: `fetch` tells none, so where somebody asks for it and the platform has it, XMLHttpRequest sends.
import type { FileList, File as StoredFile } from "./schema.ts";
import type { CallOptions, Fetch, Transport } from "./transport.ts";

/** 90 MB on a slow line. */
const UPLOAD_TIMEOUT_MS = 900_000;

export interface UploadOptions {
  /** image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav; default: the blob's own type, without parameters. */
  contentType?: string | undefined;
  /** Bytes that were sent, of how many. Outside of browsers and React Native it is called at the end only. */
  onProgress?: ((sent: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListOptions {
  /** At most 100; 25. */
  limit?: number | undefined;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface Files {
  /**
   * Uploads at most 90,000,000 bytes. Its `file_id` goes into an input whose rule has `"format":"file"`. An upload has no
   * idempotency key: when the connection is lost in the middle it is not repeated by itself.
   */
  upload(file: Blob, options?: UploadOptions): Promise<StoredFile>;
  /** The user's own, newest first. */
  list(options?: ListOptions): Promise<FileList>;
  get(fileId: string, options?: CallOptions): Promise<StoredFile>;
  delete(fileId: string, options?: CallOptions): Promise<void>;
}

export function files({ call, send }: Transport): Files {
  const path = (fileId: string): string => `/v1/files/${encodeURIComponent(fileId)}`;
  return {
    async upload(file, { contentType = file.type.split(";")[0], onProgress, signal } = {}) {
      const canReport = onProgress !== undefined && typeof XMLHttpRequest !== "undefined";
      const stored = await call<StoredFile>({
        method: "POST",
        path: "/v1/files",
        body: file,
        headers: { "content-type": contentType },
        signal,
        timeoutMs: UPLOAD_TIMEOUT_MS,
        isRepeatable: false,
        ...(canReport && { via: withProgress(file.size, onProgress) }),
      });
      if (!canReport) onProgress?.(file.size, file.size);
      return stored;
    },
    list: ({ limit, cursor, signal } = {}) => send("GET", `/v1/files${query({ limit, cursor })}`, { signal }),
    get: (fileId, options) => send("GET", path(fileId), options),
    delete: (fileId, options) => send("DELETE", path(fileId), options),
  };
}

/** `?a=b`, without what is not set. */
export function query(members: Record<string, string | number | undefined>): string {
  const set = new URLSearchParams();
  for (const [name, value] of Object.entries(members)) if (value !== undefined) set.append(name, `${value}`);
  return `${set}` && `?${set}`;
}

/** XMLHttpRequest in the clothes of `fetch`. */
function withProgress(total: number, onProgress: (sent: number, total: number) => void): Fetch {
  return (url, { method = "POST", headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const stop = (): void => request.abort();
      request.open(method, url);
      for (const [name, value] of Object.entries(headers as Record<string, string>)) request.setRequestHeader(name, value);
      request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, total), total);
      request.onload = () => {
        const headers: [string, string][] = ["x-request-id", "retry-after"].map((name) => [name, request.getResponseHeader(name) ?? ""]);
        resolve(new Response(request.responseText || null, { status: request.status, headers }));
      };
      // Whose signal it was, if it was one, is looked at where this is caught.
      request.onerror = request.onabort = () => reject(new TypeError("No answer."));
      request.onloadend = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop);
      if (signal?.aborted) reject();
      else request.send(body as XMLHttpRequestBodyInit);
    });
}
