// The description of a picture: its prompt if this browser remembers it, else its date.
import type { Prediction } from "../../../clients/web/src/index.ts";
import type { Person } from "./person.ts";

export function describe({ job_id: jobId, created_at: createdAt }: Prediction, person: Person): string {
  const prompt = person.order(jobId)?.prompt;
  if (prompt !== undefined) return prompt;
  return `Picture from ${new Date(createdAt).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })}`;
}
