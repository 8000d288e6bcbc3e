// Uploads with progress: `fetch` tells none, so where somebody asks for it and the platform has it, XMLHttpRequest sends.
import type { FileList, File as StoredFile } from "./schema.ts";
import type { Fetch, Transport } from "./transport.ts";

/** 90 MB on a slow line. */
const UPLOAD_TIMEOUT_MS = 900_000;

export interface UploadOptions {
  /** image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav; default: the blob's own type. */
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
  get(fileId: string): Promise<StoredFile>;
  delete(fileId: string): Promise<void>;
}

export function files({ call }: Transport): Files {
  const path = (fileId: string): string => `/v1/files/${encodeURIComponent(fileId)}`;
  return {
    async upload(file, { contentType = file.type, onProgress, signal } = {}) {
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
    list: ({ limit, cursor, signal } = {}) => call({ method: "GET", path: `/v1/files${query({ limit, cursor })}`, signal }),
    get: (fileId) => call({ method: "GET", path: path(fileId) }),
    delete: (fileId) => call({ method: "DELETE", path: path(fileId) }),
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
        const lines = request.getAllResponseHeaders().matchAll(/^(.+?): (.*)$/gm);
        const headers = Array.from(lines, ([, name, value]) => [name, value] as [string, string]);
        resolve(new Response(request.responseText, { status: request.status, headers }));
      };
      // Whose signal it was, if it was one, is looked at where this is caught.
      request.onerror = request.onabort = () => reject(new TypeError("No answer."));
      request.onloadend = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop);
      request.send(body as XMLHttpRequestBodyInit);
    });
}
