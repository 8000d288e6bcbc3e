import { Failure } from "../failure.ts";
import { checkProject } from "../project/check.ts";
import { findProject, type Project } from "../project/folder.ts";
import { CLI_MINUTES_MAX, signOperatorToken, signToken } from "../project/tokens.ts";
import { type Command, type Options, text } from "./command.ts";

const DEFAULT_MINUTES = 15;
const SCOPES = ["create", "read", "cancel", "files"];

/** Returns the project's settings, checked only so far that they can be read. */
export function settingsOf(project: Project): Record<string, unknown> {
  const { values, problems } = checkProject(project, { for: "dev" });
  if (Object.keys(values).length === 0) throw new Failure(problems[0]?.text ?? "The settings are empty.");
  return values;
}

/** Throws if the policy has no such plan: the gateway would give the token's user the plan "default" without a word. */
function requirePlan(policy: unknown, plan: string): void {
  const plans = (policy as { plans?: unknown } | undefined)?.plans;
  const names = typeof plans === "object" && plans !== null ? Object.keys(plans) : [];
  if (!names.includes(plan)) throw new Failure(`POLICY has no plan ${JSON.stringify(plan)}: --plan is one of ${names.join(", ")}.`);
}

/** Returns a whole number of minutes that a token may live. */
export function minutesOf(value: string | undefined): number {
  const minutes = value === undefined ? DEFAULT_MINUTES : Number(value);
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= CLI_MINUTES_MAX) return minutes;
  throw new Failure(`--minutes is a whole number from 1 to ${CLI_MINUTES_MAX}.`);
}

function scopesOf(value: string | undefined): string[] | undefined {
  const scopes = value?.split(/[\s,]+/).filter((scope) => scope !== "");
  const unknown = scopes?.find((scope) => !SCOPES.includes(scope));
  if (unknown !== undefined || scopes?.length === 0) throw new Failure(`--scope is a list of ${SCOPES.join(", ")}.`);
  return scopes;
}

export const token: Command = {
  summary: "Prints a token for your own gateway",
  argument: "SUB",
  details: `
SUB is the user whom the token speaks for. The issuer valetkey-cli signs it, with VALETKEY_CLI_SECRET of .dev.vars.
A token is a secret until it expires: whoever has it can spend the user's credits.

With --operator the token opens the operator's page and API, and nothing else. SUB is one of the names in "admins" of the issuer
valetkey-operator; default: operator. It lives as long as that issuer allows, 15 minutes at most.
`,
  options: {
    operator: { type: "boolean", help: "for the operator's page /admin/, signed with VALETKEY_OPERATOR_SECRET" },
    plan: { type: "string", value: "NAME", help: "a plan of POLICY; default: default" },
    scope: { type: "string", value: "LIST", help: `some of ${SCOPES.join(",")}; default: all` },
    minutes: { type: "string", value: "N", help: `lifetime, 1 to ${CLI_MINUTES_MAX}; default: ${DEFAULT_MINUTES}` },
  },
  async run(options, [subject, ...more]) {
    if (options["operator"] === true) return printOperatorToken(options, subject, more);
    if (subject === undefined || more.length > 0) throw new Failure("Name one user: `valetkey token alice`.");
    const minutes = minutesOf(text(options, "minutes"));
    const scopes = scopesOf(text(options, "scope"));
    const project = findProject();
    const settings = settingsOf(project);
    const plan = text(options, "plan");
    if (plan !== undefined) requirePlan(settings["POLICY"], plan);
    console.log(await signToken(project, settings["ISSUERS"], { subject, minutes, plan, scopes }));
  },
};

async function printOperatorToken(options: Options, name: string | undefined, more: string[]): Promise<void> {
  if (more.length > 0) throw new Failure("Name one operator at most: `valetkey token --operator`.");
  const useless = ["plan", "scope"].find((flag) => options[flag] !== undefined);
  if (useless !== undefined) throw new Failure(`--${useless} is for a user's token: an operator has no plan and no scope.`);
  const given = text(options, "minutes");
  const project = findProject();
  const { ISSUERS: issuers } = settingsOf(project);
  console.log(await signOperatorToken(project, issuers, { name, minutes: given === undefined ? undefined : minutesOf(given) }));
}
