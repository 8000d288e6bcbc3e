// The actions about one user.
import type { Action, Field } from "./actions.ts";
import type { Api } from "./api.ts";
import { readExport } from "./reads.ts";
import { save } from "./save.ts";
import { shortKey } from "./text.ts";

/** A user. The name is known only of a user whom the operator has looked up by it. */
export interface Person {
  user: string;
  name: { issuer: string; subject: string } | undefined;
}

/** The limits that a user may have for a time. The bounds are those of `POLICY`: the service checks them. */
const LIMITS: Readonly<Record<string, string>> = {
  requests_per_minute: "Requests a minute",
  predictions_per_minute: "Predictions a minute",
  concurrent_predictions: "Predictions at a time",
  max_waiting: "Waiting predictions",
  daily_credits: "Credits a day",
  max_files: "Files",
  max_file_bytes: "Bytes of files",
};

/** The longest time that they count (docs/contract.md, section 6). */
const LIMIT_DAYS = { min: 1, max: 30 };
const DAY_MS = 86_400_000;

/** Returns the name that the dialogs use: the one that the operator knows. */
export function whoText({ user, name }: Person): string {
  return name === undefined ? `user ${shortKey(user)}` : `${name.subject} of ${name.issuer} (user ${shortKey(user)})`;
}

function path({ user }: Person, rest = ""): string {
  return `users/${encodeURIComponent(user)}${rest}`;
}

export function exportAction(api: Api, person: Person): Action {
  return {
    title: "Export this user’s data",
    says: [`Saves a file with everything that is stored of ${whoText(person)}: predictions with the links to their pictures, the prompts of those that wait, files, usage and limits.`],
    confirm: "Save the file",
    run: async () => {
      const { content, isWhole } = await readExport(api, path(person));
      save(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }), `valetkey-${person.user.slice(0, 12)}.json`);
      return isWhole ? `The data of ${whoText(person)} is saved.` : "The newest part is saved. The file's next_cursor is where the rest begins.";
    },
  };
}

export function limitsAction(api: Api, person: Person, nowMs: () => number): Action {
  const fields: Field[] = Object.entries(LIMITS).map(([name, label]) => ({ name, label, initial: "" }));
  return {
    title: "Set this user’s limits",
    says: [
      `${whoText(person)} has these limits instead of the plan's, for the days that you give. Where a field is empty, the plan's limit counts. They replace all that were set before.`,
      "0 predictions a minute stops new ones. Running ones go on.",
    ],
    fields: [{ name: "days", label: "Days", bounds: LIMIT_DAYS, initial: "7" }, ...fields],
    confirm: "Set the limits",
    run: async ({ days, ...values }) => {
      // A minute less than the longest time: the service's clock may be behind.
      const endsAt = new Date(nowMs() + Number(days) * DAY_MS - 60_000).toISOString();
      const limits = Object.entries(values).map(([name, value]) => [name, value.trim()] as const).filter(([, value]) => value !== "");
      const body = limits.map(([name, value]) => [name, name === "daily_credits" || !/^\d+$/.test(value) ? value : Number(value)]);
      await api.write("PUT", path(person, "/override"), { ...Object.fromEntries(body), expires_at: endsAt });
      return `The limits of ${whoText(person)} are set.`;
    },
  };
}

export function planLimitsAction(api: Api, person: Person): Action {
  return {
    title: "Back to the plan’s limits",
    says: [`${whoText(person)} has the limits of the plan again, from now on.`],
    confirm: "Remove the user’s own limits",
    run: async () => {
      await api.write("DELETE", path(person, "/override"));
      return `The plan's limits count for ${whoText(person)}.`;
    },
  };
}

export function cancelAction(api: Api, person: Person): Action {
  return {
    title: "Cancel this user’s predictions",
    says: [`Cancels every prediction of ${whoText(person)} that waits or runs. One that runs at the vendor may still be billed. New ones may be created.`],
    confirm: "Cancel them",
    isFinal: true,
    run: async () => {
      await api.write("POST", path(person, "/cancel"));
      return `The predictions of ${whoText(person)} are canceled.`;
    },
  };
}

export function deleteAction(api: Api, person: Person): Action {
  return {
    title: "Delete this user",
    says: [
      `Revokes every token of ${whoText(person)} that was issued until now, cancels what waits, and deletes ended predictions, files and limits. What runs ends and is settled. What was spent stays, without the user.`,
      "This cannot be undone. Export the data first if somebody may ask for it.",
    ],
    confirm: "Delete the user",
    isFinal: true,
    run: async () => {
      await api.write("DELETE", path(person));
      return `The data of ${whoText(person)} is deleted.`;
    },
  };
}

export function revokeAction(api: Api, { user, name }: Person): Action | undefined {
  if (name === undefined) return undefined;
  const who = whoText({ user, name });
  return {
    title: "Revoke this user’s tokens",
    says: [`Every token of ${who} that was issued until now is refused from now on. The app can get a new one for them: to keep them out, close their account there.`],
    confirm: "Revoke the tokens",
    isFinal: true,
    run: async () => {
      await api.write("POST", "revocations", name);
      return `The tokens of ${who} are revoked.`;
    },
  };
}
