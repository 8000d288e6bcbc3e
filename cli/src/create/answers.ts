// The questions of `create`. Each may be answered by a flag; without a terminal, or with --yes, nothing is asked.
import * as prompts from "@clack/prompts";
import { type Options, text } from "../commands/command.ts";
import { Failure } from "../failure.ts";
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

/** Answers of flags and the environment, and the rest from the user. */
export async function ask(options: Options, positionals: string[], readKey: (path: string) => string): Promise<Answers> {
  const isSilent = options["yes"] === true || !process.stdin.isTTY || Boolean(process.env["CI"]);
  const form = new Form(isSilent);
  const folder = positionals[0] ?? (await form.text("Which folder?", "my-gateway", "name one: `create-valetkey my-gateway`", "my-gateway"));
  const keyFile = text(options, "key-file");
  const givenKey = keyFile === undefined ? process.env["DEEPCREATIVE_API_KEY"] : readKey(keyFile);
  const vendorKey = givenKey ?? (await form.secret("The vendor's key (empty: later)"));
  const signIn = text(options, "sign-in") ?? (await form.choice("Who signs your users in?", signInChoices(), BACKEND));
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
  const example = "https://my-gateway.example.workers.dev";
  const publicUrl = text(options, "public-url") ?? (await form.text("The gateway's address", example, "name it with --public-url"));
  const turnstileSecret = process.env["TURNSTILE_SECRET"] ?? (await form.secret("Turnstile's secret key (empty: later)"));
  return { ...answers, publicUrl, turnstileSecret };
}

function signInChoices(): { value: string; label: string }[] {
  const providers = Object.entries(PROVIDERS).map(([value, { title }]) => ({ value, label: title }));
  return [{ value: BACKEND, label: "My own backend" }, ...providers, { value: GUESTS, label: "Nobody: visitors are guests" }];
}

async function askProvider(form: Form, options: Options, signIn: string): Promise<Record<string, string>> {
  if (signIn === BACKEND || signIn === GUESTS) return {};
  const provider = PROVIDERS[signIn];
  if (provider === undefined) throw new Failure(`--sign-in is one of ${signInChoices().map(({ value }) => value).join(", ")}.`);
  const answers: Record<string, string> = {};
  for (const { flag, text: question, example } of provider.questions) {
    answers[flag] = text(options, flag) ?? (await form.text(`${provider.title}: ${question}`, example, `name it with --${flag}`));
  }
  return answers;
}

async function askOrigins(form: Form): Promise<string[]> {
  const answer = await form.text("Origins of the pages that call it (with commas; none: apps and servers only)", "https://app.example.com", "", "none");
  return answer.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "");
}

/** Asks, or takes the default where nobody can answer. */
class Form {
  readonly #isSilent: boolean;

  constructor(isSilent: boolean) {
    this.#isSilent = isSilent;
  }

  /** Asks for text. Without a default it is required: `advice` says how to give it without a terminal. */
  async text(message: string, example: string, advice: string, standard?: string): Promise<string> {
    if (this.#isSilent) {
      if (standard !== undefined) return standard;
      throw new Failure(`${message}: ${advice}.`);
    }
    const answer = await prompts.text({
      message,
      placeholder: example,
      ...(standard !== undefined && { defaultValue: standard }),
      validate: (value) => ((value ?? "").trim() === "" && standard === undefined ? "An answer is needed." : undefined),
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
