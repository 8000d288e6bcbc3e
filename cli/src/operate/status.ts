// The state of a gateway in a few lines, for `valetkey status` and `make status`.
import type { State } from "./admin.ts";
import { describe } from "./rotate.ts";

/** Returns the lines. */
export function statusLines(state: State): string[] {
  const { vendor_key: key, slots, queue, requests, today } = state;
  const since = key.since === null ? "" : ` since ${key.since}`;
  const budget = today.daily_credits === null ? "" : ` of ${today.daily_credits}`;
  return [
    versionLine(state),
    `Vendor key ${key.fingerprint}: ${key.health}${since}. ${describe(state.rotation)}`,
    `Being sent: ${state.submitting}. Slots: ${slots.in_use} of ${slots.total} in use, ${slots.unknown} of them of an unknown outcome. Waiting: ${queue.waiting} of ${queue.max_waiting}.`,
    `Requests left this minute: ${requests.remaining} of ${requests.per_minute}.`,
    `Today (${today.day}): ${today.credits}${budget} credits${today.predictions === undefined ? "" : `, ${today.predictions} predictions`}.`,
    ...state.pauses.map(({ id, model, ends_at }) => `Paused: ${model ?? "all models"}, until ${ends_at} (${id}).`),
    ...state.unknown_outcomes.map(({ job_id, model, slot_ends_at }) => `Unknown outcome: ${job_id} (${model}), its slot until ${slot_ends_at}.`),
    ...(state.alerts ?? []).map(({ time, alert, detail }) => `Alert: ${alert} at ${time}${detail === null ? "" : ` (${detail})`}.`),
  ];
}

function versionLine({ version: { edge, dispatcher } }: State): string {
  if (edge.id === dispatcher.id) return `Version: ${edge.id ?? "unknown"}.`;
  return `Version: ${edge.id ?? "unknown"} at the edge, ${dispatcher.id ?? "unknown"} in the Dispatcher.`;
}
