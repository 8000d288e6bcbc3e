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
  /** By their keys: requests to repeat under the same key, since nobody knows what became of them. */
  readonly #unanswered = new Map<string, { request: Request; mayHaveArrived: boolean }>();

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
    const key = this.#keyOf(request) ?? randomHex(16);
    for (;;) {
      try {
        const input = await this.#input(request, progress, signal);
        signal.throwIfAborted();
        progress.sending();
        return await this.#send(request, key, input);
      } catch (thrown) {
        if (!(thrown instanceof ValetkeyError) || thrown.advice !== "repeat" || this.#isOnline()) throw thrown;
        await this.#backOnline(signal);
      }
    }
  }

  /** Whether a request that was given up may have arrived all the same. */
  mayHaveArrived(request: Request): boolean {
    return this.#unanswered.get(this.#keyOf(request) ?? "")?.mayHaveArrived ?? false;
  }

  async #send(request: Request, key: string, input: Record<string, string>): ReturnType<Api["create"]> {
    const attempt = this.#unanswered.get(key) ?? { request, mayHaveArrived: false };
    this.#unanswered.set(key, attempt);
    attempt.mayHaveArrived ||= this.#isOnline();
    try {
      const prediction = await this.#api.create(MODEL, input, { idempotencyKey: key });
      this.#unanswered.delete(key);
      return prediction;
    } catch (thrown) {
      // The connection may have come in the middle.
      attempt.mayHaveArrived ||= this.#isOnline();
      // Refused for good, or made and failed: the same key would give the same again. Any other refusal leaves the key unused.
      if (thrown instanceof ValetkeyError && (thrown.advice === "give_up" || thrown.prediction !== undefined)) this.#unanswered.delete(key);
      // Its file is gone: the next try uploads it again.
      if (request.picture && thrown instanceof ValetkeyError && thrown.param === "input.input_image") this.#fileIds.delete(request.picture);
      throw thrown;
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

  #keyOf({ prompt, aspectRatio, picture }: Request): string | undefined {
    for (const [key, { request }] of this.#unanswered) {
      if (request.prompt === prompt && request.aspectRatio === aspectRatio && request.picture === picture) return key;
    }
    return undefined;
  }
}
