// The actions about one user.
import type { Action } from "./actions.ts";
import type { Api } from "./api.ts";

/** A user as tokens name them. */
export interface Person {
  issuer: string;
  subject: string;
}

export function revokeAction(api: Api, person: Person): Action {
  const who = `${person.subject} of ${person.issuer}`;
  return {
    title: "Revoke this user’s tokens",
    says: [`Every token of ${who} that was issued until now is refused from now on. The app can get a new one for them: to keep them out, close their account there.`],
    confirm: "Revoke the tokens",
    isFinal: true,
    run: async () => {
      await api.write("revocations", person);
      return `The tokens of ${who} are revoked.`;
    },
  };
}
