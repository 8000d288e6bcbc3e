// The questions of `create`. Each may be answered by a flag; without a terminal, or with --yes, nothing is asked.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import * as prompts from "@clack/prompts";
import { type Options, text } from "../commands/command.ts";
import { Failure } from "../failure.ts";
import { readKeyFile } from "../project/keys.ts";
import { PROVIDERS } from "./providers.ts";

/** The values of --sign-in, beside the providers. */
export const BACKEND = "backend";
export const GUESTS = "guests";

export interface Answers {
  /** The folder, which also names the Worker. */
  folder: string;
  vendorKey?: string | undefined;
  signIn: string;
  /** What the provider is asked by, by flag. */
  provider: Record<string, string>;
  origins: string[];
  /** The gateway's own origin: guests' tokens name it. */
  publicUrl?: string | undefined;
  turnstileSecret?: string | undefined;
  hasCliIssuer: boolean;
}

/** What a Worker's name may be, which is also a part of its host name. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$/;

/** Returns why a folder cannot be made into a gateway. */
function problemOfFolder(folder: string): string | undefined {
  const path = resolve(folder);
  const name = basename(path);
  if (!NAME.test(name)) return `The folder names the Worker, and ${JSON.stringify(name)} is not 1 to 54 of a-z, 0-9 and - between them: choose another name.`;
  if (!existsSync(path)) return undefined;
  if (!statSync(path).isDirectory()) return `${folder} is a file: choose another folder.`;
  return readdirSync(path).length > 0 ? `${folder} is not empty: choose another folder.` : undefined;
}

/** Answers of flags and the environment, and the rest from the user. */
export async function ask(options: Options, positionals: string[]): Promise<Answers> {
  const isSilent = options["yes"] === true || !process.stdin.isTTY || Boolean(process.env["CI"]);
  const form = new Form(isSilent);
  const folder = positionals[0] ?? (await form.text({ message: "Which folder?", example: "my-gateway", standard: "my-gateway", problem: problemOfFolder }));
  // Before more is asked.
  const problem = problemOfFolder(folder);
  if (problem !== undefined) throw new Failure(problem);
  const keyFile = text(options, "key-file");
  const givenKey = keyFile === undefined ? process.env["DEEPCREATIVE_API_KEY"] : readKeyFile(keyFile);
  const vendorKey = givenKey ?? (await form.secret("The vendor's key (empty: later)"));
  const signIn = text(options, "sign-in") ?? (await form.choice("Who signs your users in?", signInChoices(), BACKEND));
  refuseOtherFlags(options, signIn);
  const provider = await askProvider(form, options, signIn);
  const origins = (options["origin"] as string[] | undefined) ?? (await askOrigins(form));
  const answers: Answers = {
    folder,
    vendorKey: vendorKey || undefined,
    signIn,
    provider,
    origins: origins.filter((origin) => origin !== "none"),
    hasCliIssuer: options["no-cli-issuer"] !== true,
  };
  return signIn === GUESTS ? askAboutGuests(form, options, answers) : answers;
}

async function askAboutGuests(form: Form, options: Options, answers: Answers): Promise<Answers> {
  if (!answers.hasCliIssuer) {
    throw new Failure("Guests alone leave ISSUERS empty without valetkey-cli: leave out --no-cli-issuer, or choose another --sign-in.");
  }
  const publicUrl = text(options, "public-url") ?? (await form.text({ message: "The gateway's address", example: "https://my-gateway.example.workers.dev", flag: "public-url" }));
  const turnstileSecret = process.env["TURNSTILE_SECRET"] ?? (await form.secret("Turnstile's secret key (empty: later)"));
  return { ...answers, publicUrl, turnstileSecret };
}

function signInChoices(): { value: string; label: string }[] {
  const providers = Object.entries(PROVIDERS).map(([value, { title }]) => ({ value, label: title }));
  return [{ value: BACKEND, label: "My own backend" }, ...providers, { value: GUESTS, label: "Nobody: visitors are guests" }];
}

/** A flag of another way to sign in is a mistake: nothing would read its value. */
function refuseOtherFlags(options: Options, signIn: string): void {
  const ways = Object.entries(PROVIDERS).flatMap(([way, { questions }]) => questions.map(({ flag }) => ({ flag: flag as string, way })));
  const all = [...ways, { flag: "public-url", way: GUESTS }];
  for (const { flag } of all) {
    const fitting = all.filter((other) => other.flag === flag).map(({ way }) => way);
    if (options[flag] !== undefined && !fitting.includes(signIn)) throw new Failure(`--${flag} goes with --sign-in ${fitting.join(" or ")}, and not with ${signIn}.`);
  }
}

async function askProvider(form: Form, options: Options, signIn: string): Promise<Record<string, string>> {
  if (signIn === BACKEND || signIn === GUESTS) return {};
  const provider = Object.hasOwn(PROVIDERS, signIn) ? PROVIDERS[signIn] : undefined;
  if (provider === undefined) throw new Failure(`--sign-in is one of ${signInChoices().map(({ value }) => value).join(", ")}.`);
  const answers: Record<string, string> = {};
  for (const question of provider.questions) {
    const { flag, text: message, example } = question;
    const problem = (value: string): string | undefined => (question.form.test(value) ? undefined : `This is not of the form of ${example}.`);
    const given = text(options, flag);
    if (given !== undefined && problem(given) !== undefined) throw new Failure(`--${flag} is not of the form of ${example}.`);
    answers[flag] = given ?? (await form.text({ message: `${provider.title}: ${message}`, example, flag, problem }));
  }
  return answers;
}

async function askOrigins(form: Form): Promise<string[]> {
  const answer = await form.text({
    message: "Origins of the pages that call it (with commas; none: apps and servers only)",
    example: "https://app.example.com",
    standard: "none",
  });
  return answer.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "");
}

interface TextQuestion {
  message: string;
  example: string;
  /** The answer as a flag, where there is no default. */
  flag?: string;
  /** The answer if there is none. Without it, one is required. */
  standard?: string;
  /** Returns what is wrong with an answer. */
  problem?: (answer: string) => string | undefined;
}

/** Asks, or takes the default where nobody can answer. */
class Form {
  readonly #isSilent: boolean;

  constructor(isSilent: boolean) {
    this.#isSilent = isSilent;
  }

  async text({ message, example, flag, standard, problem }: TextQuestion): Promise<string> {
    if (this.#isSilent) {
      if (standard !== undefined) return standard;
      throw new Failure(`${message}: name it with --${flag}.`);
    }
    const answer = await prompts.text({
      message,
      placeholder: example,
      ...(standard !== undefined && { defaultValue: standard }),
      validate: (value) => {
        const text = (value ?? "").trim();
        if (text === "") return standard === undefined ? "An answer is needed." : undefined;
        return problem?.(text);
      },
    });
    return answered(answer).trim();
  }

  async secret(message: string): Promise<string> {
    return this.#isSilent ? "" : answered(await prompts.password({ message, validate: () => undefined })).trim();
  }

  async choice(message: string, choices: { value: string; label: string }[], standard: string): Promise<string> {
    return this.#isSilent ? standard : answered(await prompts.select({ message, options: choices, initialValue: standard }));
  }
}

function answered(answer: string | symbol): string {
  if (typeof answer === "string") return answer;
  throw new Failure("Nothing was created.");
}
