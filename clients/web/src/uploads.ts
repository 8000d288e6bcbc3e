// Uploads the files in an input and puts their ids in their places. Loaded by client.ts for an input that has one.
import { invalid, isBlob } from "./arguments.ts";
import type { ValetkeyError } from "./errors.ts";
import type { Files } from "./files.ts";
import type { InputRule, Model } from "./schema.ts";
import type { CallOptions } from "./transport.ts";

/** How long a model's rules are believed. They change when the operator deploys. */
const RULES_MS = 300_000;

/** Returns `input` with the id of a file in the place of each `Blob`. `path` is the name of `input` in errors. */
export type Uploader = (
  model: string, input: Record<string, unknown>, path: string, signal: AbortSignal | undefined,
) => Promise<Record<string, unknown>>;

/** Makes the uploader of one client. `readModel` returns a model with its rules. */
export function uploader(files: Files, readModel: (model: string, options: CallOptions) => Promise<Model>): Uploader {
  const models = new Map<string, { rules: Model["input"]; until: number }>();
  const ids = new WeakMap<Blob, string>();

  /** Returns the rules of a model's inputs. Known rules that do not take these files are read again. */
  async function rulesFor(model: string, names: string[], signal: AbortSignal | undefined): Promise<Model["input"]> {
    const known = models.get(model);
    if (known !== undefined && known.until > performance.now() && names.every((name) => takesFiles(known.rules[name]))) return known.rules;
    const { input: rules } = await readModel(model, { signal });
    models.set(model, { rules, until: performance.now() + RULES_MS });
    return rules;
  }

  /**
   * Returns the id of a file, which is sent only if the deployment does not have it. A create that is repeated with its
   * idempotency key has to have the same ids, and the next prompt for the same photo need not send it again.
   */
  async function idOf(file: Blob, signal: AbortSignal | undefined): Promise<string> {
    const known = ids.get(file);
    if (known !== undefined && (await isThere(known, signal))) return known;
    const { file_id: id } = await files.upload(file, { signal });
    ids.set(file, id);
    return id;
  }

  async function isThere(id: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await files.get(id, { signal });
      return true;
    } catch (error) {
      if ((error as ValetkeyError).code !== "not_found") throw error;
      return false;
    }
  }

  return async (model, input, path, signal) => {
    const names = Object.keys(input).filter((name) => [input[name]].flat().some(isBlob));
    const rules = await rulesFor(model, names, signal);
    // All inputs are checked before the first file is sent.
    for (const name of names) if (!takesFiles(rules[name])) throw misplaced(`${path}.${name}`, model, rules);
    const replaced = { ...input };
    for (const name of names) {
      const value = input[name];
      const list: unknown[] = [];
      // One after the other, so that a file that is there twice is sent once.
      for (const entry of [value].flat()) list.push(isBlob(entry) ? await idOf(entry, signal) : entry);
      replaced[name] = Array.isArray(value) ? list : list[0];
    }
    return replaced;
  };
}

/** Returns the error of a file in an input whose rule does not take one. */
function misplaced(param: string, model: string, rules: Model["input"]): ValetkeyError {
  const names = Object.keys(rules).filter((name) => takesFiles(rules[name]));
  return invalid(param, `JSON (files of ${model} go into: ${names.join(", ") || "no input"})`, "a file");
}

function takesFiles(rule: InputRule | undefined): boolean {
  return rule?.format === "file" || rule?.items?.format === "file";
}
