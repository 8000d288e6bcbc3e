// Types of the models' inputs. `npx valetkey types` writes a file that adds a deployment's models to `Models`; without
// that file every model and every input is accepted.

/**
 * The models of the app's deployment, and the input of each: `{ "owner/model": { prompt: string } }`. Empty until the
 * app adds to it with `declare module "valetkey"`.
 */
export interface Models {}

/** An input whose rule has `"format":"file"`: the id of a file, or a file, which the client uploads. */
export type FileInput = string | Blob;

/** A model's input. `Client.model` returns the model's rules for it. A `Blob` stands for the id of a file. */
export type Input = Record<string, unknown>;

/** A model's name, `owner/model`. Only those of `Models`, if it has any. */
export type ModelName = [keyof Models] extends [never] ? string : keyof Models & string;

/** The input of a model: what `Models` says, or any input. */
export type InputOf<M extends string> = M extends keyof Models ? Models[M] : Input;

/** A create in a batch: one type for each model, so that each input is checked against its own model. */
export type BatchItem<M extends ModelName = ModelName> = M extends string
  ? { /** `owner/model`. */ model: M; input: InputOf<M>; imageCount?: number | undefined }
  : never;
