// Creates a prediction: uploads the picture to start from, sends the create, and repeats both after a lost connection.
import { type Client, ValetkeyError } from "../../../clients/web/src/index.ts";
import type { Offer } from "./offer.ts";
import { type Order, randomHex } from "./person.ts";

export interface Request extends Order {
  picture: File | undefined;
}

/** Called as the request advances. */
export interface Progress {
  uploading(sent: number, total: number): void;
  sending(): void;
}

type Api = Pick<Client, "create"> & { files: Pick<Client["files"], "upload"> };

export class Creator {
  readonly #api: Api;
  readonly #offer: () => Promise<Offer>;
  readonly #backOnline: (signal: AbortSignal) => Promise<void>;
  readonly #isOnline: () => boolean;
  /** Ids of uploaded files: each file is uploaded once, even if it is used again. */
  readonly #fileIds = new WeakMap<File, string>();
  /** Requests whose outcome is unknown, by their idempotency keys. They must be repeated with the same key. */
  readonly #unanswered = new Map<string, { request: Request; mayHaveArrived: boolean }>();

  constructor(api: Api, offer: () => Promise<Offer>, backOnline: (signal: AbortSignal) => Promise<void>, isOnline: () => boolean) {
    this.#api = api;
    this.#offer = offer;
    this.#backOnline = backOnline;
    this.#isOnline = isOnline;
  }

  /**
   * Returns the new prediction. While the browser is offline it waits and then continues. The signal aborts an upload
   * and the wait to be back online. It does not abort a create in flight, because that would not stop the vendor.
   */
  async create(request: Request, progress: Progress, signal: AbortSignal): ReturnType<Api["create"]> {
    const key = this.#keyOf(request) ?? randomHex(16);
    for (;;) {
      try {
        const offer = await this.#offer();
        const input = await this.#input(request, offer, progress, signal);
        signal.throwIfAborted();
        progress.sending();
        return await this.#send(request, key, offer.model, input);
      } catch (thrown) {
        if (!(thrown instanceof ValetkeyError) || thrown.advice !== "repeat" || this.#isOnline()) throw thrown;
        await this.#backOnline(signal);
      }
    }
  }

  /** Returns true if a request that was aborted may have reached the API. */
  mayHaveArrived(request: Request): boolean {
    return this.#unanswered.get(this.#keyOf(request) ?? "")?.mayHaveArrived ?? false;
  }

  async #send(request: Request, key: string, model: string, input: Record<string, string>): ReturnType<Api["create"]> {
    const attempt = this.#unanswered.get(key) ?? { request, mayHaveArrived: false };
    this.#unanswered.set(key, attempt);
    attempt.mayHaveArrived ||= this.#isOnline();
    try {
      const prediction = await this.#api.create(model, input, { idempotencyKey: key });
      this.#unanswered.delete(key);
      return prediction;
    } catch (thrown) {
      // The browser may have come back online while the request was in flight.
      attempt.mayHaveArrived ||= this.#isOnline();
      // After a final refusal or a failed prediction, the same key would return the same result: the next try needs a
      // new key. Any other error keeps the key, because the request may have arrived.
      if (thrown instanceof ValetkeyError && (thrown.advice === "give_up" || thrown.prediction !== undefined)) this.#unanswered.delete(key);
      // The API no longer has the file: the next try uploads it again.
      if (request.picture && thrown instanceof ValetkeyError && thrown.param === "input.input_image") this.#fileIds.delete(request.picture);
      throw thrown;
    }
  }

  /** Returns the input, with what the model takes. */
  async #input({ prompt, aspectRatio, picture }: Request, offer: Offer, progress: Progress, signal: AbortSignal): Promise<Record<string, string>> {
    const input = { prompt, ...(offer.shapes.includes(aspectRatio) && { aspect_ratio: aspectRatio }) };
    if (picture === undefined || !offer.takesPicture) return input;
    let fileId = this.#fileIds.get(picture);
    if (fileId === undefined) {
      progress.uploading(0, picture.size);
      const onProgress = progress.uploading.bind(progress);
      fileId = (await this.#api.files.upload(picture, { onProgress, signal })).file_id;
      this.#fileIds.set(picture, fileId);
    }
    return { ...input, input_image: fileId };
  }

  /** Returns the key of the same request, if an earlier attempt's outcome is unknown. */
  #keyOf({ prompt, aspectRatio, picture }: Request): string | undefined {
    for (const [key, { request }] of this.#unanswered) {
      if (request.prompt === prompt && request.aspectRatio === aspectRatio && request.picture === picture) return key;
    }
    return undefined;
  }
}
