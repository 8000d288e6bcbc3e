/** The parsed options of a command, by flag. */
export type Options = Record<string, string | boolean | string[] | undefined>;

export interface Option {
  type: "string" | "boolean";
  /** May be repeated. */
  multiple?: boolean;
  /** What stands for the value in the help. */
  value?: string;
  help: string;
}

/** A command of the tool. */
export interface Command {
  /** One line. */
  summary: string;
  /** More lines for the help, each ended with a newline. */
  details?: string;
  /** The positional argument as the help shows it, if the command takes one. */
  argument?: string;
  options: Record<string, Option>;
  run(options: Options, positionals: string[]): Promise<void>;
}

/** Returns the value of an option that is text. */
export function text(options: Options, flag: string): string | undefined {
  const value = options[flag];
  return typeof value === "string" ? value : undefined;
}
