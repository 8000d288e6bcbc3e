// Uploads one file. Loaded by files.ts when an app uploads. `fetch` does not report upload progress, so an upload with
// `onProgress` uses XMLHttpRequest where the platform has it.
import { check, checkFunction, checkObject } from "./arguments.ts";
import type { UploadOptions } from "./files.ts";
import type { File as StoredFile } from "./schema.ts";
import type { Fetch, Result, Transport } from "./transport.ts";

/** Time limit of an upload: enough for 90 MB at 0.8 Mbit/s. */
const UPLOAD_TIMEOUT_MS = 900_000;

export async function upload(call: Transport["call"], file: Blob, options: UploadOptions = {}): Promise<Result<StoredFile>> {
  // Not `instanceof`: React Native and polyfills have blobs of their own.
  check(typeof file?.size === "number" && typeof file.type === "string", "file", "a Blob", file);
  checkObject("options", options);
  const { contentType = file.type.split(";")[0], onProgress, signal } = options;
  checkFunction("onProgress", onProgress);
  // `fetch` rejects such a header with a TypeError, which would be reported as a network failure.
  check(/^[ -~]*$/.test(`${contentType}`), "contentType", "a media type", contentType);
  const canReport = onProgress !== undefined && typeof XMLHttpRequest !== "undefined";
  const stored = await call<Result<StoredFile>>({
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
