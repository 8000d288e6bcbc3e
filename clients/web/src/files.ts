// Files, and uploads with progress. `fetch` does not report upload progress, so an upload with `onProgress` uses
// XMLHttpRequest where the platform has it.
import { check, checkFunction, checkObject, segment } from "./arguments.ts";
import type { FileList, File as StoredFile } from "./schema.ts";
import type { CallOptions, Fetch, Transport } from "./transport.ts";

/** Time limit of an upload: enough for 90 MB at 0.8 Mbit/s. */
const UPLOAD_TIMEOUT_MS = 900_000;

export interface UploadOptions {
  /**
   * image/png, image/jpeg, image/webp, image/gif, video/mp4, video/webm or audio/wav. Default: the blob's own type
   * without its parameters.
   */
  contentType?: string | undefined;
  /**
   * Called with the bytes sent and the total. Outside of browsers and React Native it is called only once, at the end.
   */
  onProgress?: ((sent: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListOptions {
  /** Page size. At most 100; default 25. */
  limit?: number | undefined;
  /** `next_cursor` of the previous page. */
  cursor?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface Files {
  /**
   * Uploads at most 90,000,000 bytes. Pass the returned `file_id` as an input whose rule has `"format":"file"`. An
   * upload has no idempotency key, so the client does not retry it when the connection is lost.
   */
  upload(file: Blob, options?: UploadOptions): Promise<StoredFile>;
  /** Lists the user's files, newest first. */
  list(options?: ListOptions): Promise<FileList>;
  /** Returns a file's metadata. */
  get(fileId: string, options?: CallOptions): Promise<StoredFile>;
  /** Deletes a file. If the first response is lost and a retry gets `not_found`, this resolves. */
  delete(fileId: string, options?: CallOptions): Promise<void>;
}

export function files({ call, send }: Transport): Files {
  const path = (fileId: string): string => `/v1/files/${segment("fileId", fileId)}`;
  return {
    async upload(file, options = {}) {
      // Not `instanceof`: React Native and polyfills have blobs of their own.
      check(typeof file?.size === "number" && typeof file.type === "string", "file", "a Blob", file);
      checkObject("options", options);
      const { contentType = file.type.split(";")[0], onProgress, signal } = options;
      checkFunction("onProgress", onProgress);
      // `fetch` rejects such a header with a TypeError, which would be reported as a network failure.
      check(/^[ -~]*$/.test(`${contentType}`), "contentType", "a media type", contentType);
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
    list: async (options) => send("GET", `/v1/files${query(options, "limit", "cursor")}`, options),
    get: async (fileId, options) => send("GET", path(fileId), options),
    delete: async (fileId, options) => send("DELETE", path(fileId), options),
  };
}

/** Returns the named options as `?a=b`, without the undefined ones. Returns an empty string if none is set. */
export function query<Name extends string>(options: Partial<Record<Name, string | number | undefined>> | undefined, ...names: Name[]): string {
  const set = new URLSearchParams();
  for (const name of names) {
    const value = options?.[name];
    check(/^(string|number|undefined)$/.test(typeof value), name, "a string or a number", value);
    if (value !== undefined) set.append(name, `${value}`);
  }
  return `${set}` && `?${set}`;
}

/** Returns a `fetch` that sends the request with XMLHttpRequest and reports upload progress. */
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
      // `explain` in transport.ts, which catches this, finds out whether the caller's signal or the time limit aborted.
      request.onerror = request.onabort = () => reject(new TypeError("No response."));
      request.onloadend = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop);
      if (signal?.aborted) reject();
      else request.send(body as XMLHttpRequestBodyInit);
    });
}
