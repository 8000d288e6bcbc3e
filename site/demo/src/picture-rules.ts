// The API's rules for picture files, checked before an upload of up to 90 MB. Pure.
import type { PageCode } from "./problem.ts";

const TYPES: readonly string[] = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const MAX_BYTES = 90_000_000;

/** Returns the error code for a file that the API would refuse, `undefined` for a valid one. */
export function pictureProblem(file: Pick<File, "type" | "size">): PageCode | undefined {
  if (!TYPES.includes(file.type)) return "picture_type";
  if (file.size === 0) return "picture_empty";
  return file.size > MAX_BYTES ? "picture_size" : undefined;
}

/** Formats a file size: `12 KB`, `3.4 MB`. */
export function size(bytes: number): string {
  return bytes < 999_500 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
