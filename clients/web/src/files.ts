// Files, and lists of pages.
import { check, segment } from "./arguments.ts";
import { part } from "./errors.ts";
import type { FileList, File as StoredFile } from "./schema.ts";
import { type CallOptions, identified, type Result, type Transport } from "./transport.ts";

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

/** A page; in `for await`, each entry of this page and of the pages after it. */
export type Pages<Page extends { data: unknown[] }> = Promise<Result<Page>> & AsyncIterable<Result<Page["data"][number]>>;

export interface Files {
  /**
   * Uploads at most 90,000,000 bytes. Pass the returned `file_id` as an input whose rule has `"format":"file"`. An
   * upload has no idempotency key, so the client does not retry it when the connection is lost.
   */
  upload(file: Blob, options?: UploadOptions): Promise<Result<StoredFile>>;
  /** Lists the user's files, newest first. */
  list(options?: ListOptions): Pages<FileList>;
  /** Returns a file's metadata. */
  get(fileId: string, options?: CallOptions): Promise<Result<StoredFile>>;
  /** Deletes a file. If the first response is lost and a retry gets `not_found`, this resolves. */
  delete(fileId: string, options?: CallOptions): Promise<void>;
}

export function files({ call, send }: Transport): Files {
  const path = (fileId: string): string => `/v1/files/${segment("fileId", fileId)}`;
  return {
    upload: async (file, options) => (await part(import("./upload.ts"))).upload(call, file, options),
    list: (options) => paged(async (options) => send("GET", `/v1/files${query(options, "limit", "cursor")}`, options), options),
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

/** Returns the page that `read` reads with these options, which is also an iterable of the entries from there on. */
export function paged<Page extends { data: object[]; next_cursor: string | null }, Options extends ListOptions>(
  read: (options: Options | undefined) => Promise<Result<Page>>, options: Options | undefined,
): Pages<Page> {
  const first = read(options);
  return Object.assign(first, {
    async *[Symbol.asyncIterator]() {
      for (let page = await first; ; page = await read({ ...options, cursor: page.next_cursor } as Options)) {
        for (const entry of page.data) yield identified(entry, page.requestId);
        if (page.next_cursor === null) return;
      }
    },
  }) as Pages<Page>;
}
