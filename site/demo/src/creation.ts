// From the press of the button to a prediction with an id: the upload, the create, and both again after a lost connection.
import { type Client, ValetkeyError } from "../../../clients/web/src/index.ts";
import { type Order, randomHex } from "./person.ts";

const MODEL = "black-forest-labs/flux-kontext-max";

export interface Request extends Order {
  picture: File | undefined;
}

/** How it goes on until there is a prediction. */
export interface Progress {
  uploading(sent: number, total: number): void;
  sending(): void;
}

type Api = Pick<Client, "create"> & { files: Pick<Client["files"], "upload"> };

export class Creator {
  readonly #api: Api;
  readonly #backOnline: (signal: AbortSignal) => Promise<void>;
  readonly #isOnline: () => boolean;
  /** A picture is uploaded once, however often its file is used. */
  readonly #fileIds = new WeakMap<File, string>();
  /** The request to repeat under the same key: nobody knows whether the last one arrived. */
  #unanswered: { request: Request; key: string } | undefined;

  constructor(api: Api, backOnline: (signal: AbortSignal) => Promise<void>, isOnline: () => boolean) {
    this.#api = api;
    this.#backOnline = backOnline;
    this.#isOnline = isOnline;
  }

  /**
   * Gives the new prediction's state. Offline, it waits and goes on. The signal ends an upload and the wait to be back online; a create
   * that is on its way is not hung up on, since that would not stop the vendor.
   */
  async create(request: Request, progress: Progress, signal: AbortSignal): ReturnType<Api["create"]> {
    const key = this.#keyFor(request);
    for (;;) {
      try {
        const input = await this.#input(request, progress, signal);
        signal.throwIfAborted();
        progress.sending();
        const prediction = await this.#api.create(MODEL, input, { idempotencyKey: key });
        this.#unanswered = undefined;
        return prediction;
      } catch (thrown) {
        // Its file is gone: the next try uploads it again.
        if (request.picture && thrown instanceof ValetkeyError && thrown.param === "input.input_image") this.#fileIds.delete(request.picture);
        const isUnknown = thrown instanceof ValetkeyError && thrown.advice === "repeat";
        this.#unanswered = isUnknown ? { request, key } : undefined;
        if (!isUnknown || this.#isOnline()) throw thrown;
        await this.#backOnline(signal);
      }
    }
  }

  async #input({ prompt, aspectRatio, picture }: Request, progress: Progress, signal: AbortSignal): Promise<Record<string, string>> {
    if (picture === undefined) return { prompt, aspect_ratio: aspectRatio };
    let fileId = this.#fileIds.get(picture);
    if (fileId === undefined) {
      progress.uploading(0, picture.size);
      const onProgress = progress.uploading.bind(progress);
      fileId = (await this.#api.files.upload(picture, { onProgress, signal })).file_id;
      this.#fileIds.set(picture, fileId);
    }
    return { prompt, aspect_ratio: aspectRatio, input_image: fileId };
  }

  #keyFor({ prompt, aspectRatio, picture }: Request): string {
    const last = this.#unanswered?.request;
    const isSame = last?.prompt === prompt && last.aspectRatio === aspectRatio && last.picture === picture;
    return isSame && this.#unanswered !== undefined ? this.#unanswered.key : randomHex(16);
  }
}
